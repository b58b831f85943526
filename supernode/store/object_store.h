/*
 * object_store: puts the objects of a content (core/object_set.h) into memory, or into a file when
 * the spool says that memory is used up, and gets them from there. An object is checked when it
 * comes (large ones of our own workers but for their hash). Main thread; hashing and writing happen
 * on the io thread.
 */
#ifndef FLWR_STORE_OBJECT_STORE_H
#define FLWR_STORE_OBJECT_STORE_H

#include "supernode/core/object_set.h"
#include "supernode/store/spool.h"

/* An empty set for the objects of tree (taken over, empty afterwards, on failure too). One
 * reference; without one, and when no put is out any more, memory and file are freed. 0 or -ENOMEM.
 */
int object_set_new(struct spool *spool, struct object_tree *tree, struct object_set **out);
/*
 * Large objects (OBJECT_SET_LARGE_BYTES and more, but not the root) are looked at, and not hashed:
 * a worker of ours on this machine does that when it reads them, or has made the ids from their
 * bytes. Before the first put.
 */
#define OBJECT_SET_LARGE_BYTES 65536
void object_set_skip_large_hashes(struct object_set *set);

bool object_set_has(const struct object_set *set, size_t index);
uint64_t object_set_bytes(const struct object_set *set); /* of those that are here */

/*
 * Object index has come: content is taken over (empty afterwards, on failure too). On the io thread
 * it is checked (SHA-256 is its id, unless that is skipped; head can be read; its children are
 * those of the tree) and perhaps written; then done(arg, index, r, why) comes from the loop: 0;
 * -EBADMSG with a sentence: it is not that object; -ENOSPC, -EIO, -EDQUOT, -ENOMEM ... with a
 * sentence: it could not be kept (another try may succeed); 0 for one that is here already, which
 * is not looked at. The set is there until then, even without references; done always comes, in the
 * order of the puts. 0, or -errno (done does not come).
 */
typedef void object_put_fn(void *arg, size_t index, int r, const struct reason *why);
int object_set_put(struct object_set *set, size_t index, struct slices *content,
	object_put_fn *done, void *arg);

/* The bytes of an object that is here, appended to *out: references to memory, or to a mapping of
 * its part of the file that ends with the slices. 0, -ENOENT, -errno. */
int object_set_get(struct object_set *set, size_t index, struct slices *out);

#endif
