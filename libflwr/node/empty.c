/* A library needs a source; all of this one is in libflwr_node. */
