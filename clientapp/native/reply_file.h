/*
 * reply_file: the file of a task, in which the reply's arrays are made behind it, so that none of
 * them is copied when the reply is given. Memory may be asked for and given back by any thread; the
 * rest is the main thread's.
 */
#ifndef FLWR_NATIVE_REPLY_FILE_H
#define FLWR_NATIVE_REPLY_FILE_H

#include "clientapp/form/form_layout.h"

struct reply_file;

/* Behind what is in fd (taken over, on failure too): task is its mapping, of which a reference is
 * kept. 0 or -errno. */
int reply_file_new(int fd, const struct slice *task, struct reply_file **out);
/* Mappings that somebody still refers to outlive it. NULL is fine. */
void reply_file_free(struct reply_file *file);

/* Memory of the file, as array_memory_fn of libflwr/app/dict_internal.h; arg is the reply_file. */
int reply_file_memory(void *arg, size_t bytes, struct slice *out);

/* Records and Context of a reply; borrowed. */
struct reply {
	const struct record_dict *content;
	const struct record_dict *state;
	const struct value_map *node_config;
	const struct value_map *run_config;
};

/*
 * Write the reply and seal the file, once. Arrays that lie in the task or in memory of the file
 * stay where they are, others are copied; what was memory of the file can still be written to
 * afterwards, but nobody else sees that. 0 and the bytes of the file; -errno.
 */
int reply_file_write(struct reply_file *file, const struct reply *reply, uint64_t *bytes_out);

#endif
