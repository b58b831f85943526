/*
 * contents_objects: contents that travel as objects: the download of a message's objects
 * (objects_in.c), the upload of a reply's (objects_out.c). Main thread. Private to this folder.
 */
#ifndef FLWR_FLEET_CONTENTS_OBJECTS_H
#define FLWR_FLEET_CONTENTS_OBJECTS_H

#include "supernode/fleet/fleet_internal.h"
#include "supernode/store/object_store.h"

/*
 * Bring the objects of a message that the owner knows by number into set (a reference is taken);
 * then tell the SuperLink that they are here, and the owner. 0 or -ENOMEM.
 */
int download_start(struct fleet *fleet, uint64_t number, uint64_t run_id, struct object_set *set);
/* The download of a message, or each (0), ends from the loop; the owner is not told. */
void download_cancel(struct fleet *fleet, uint64_t number);

/* dialect's push(). */
int objects_push(struct fleet *fleet, const struct fleet_push *push);

#endif
