/*
 * object_set: the objects of one message: its tree, and those that are here: in memory, or in a
 * file when the spool says that memory is used up. An object is checked when it comes
 * (large ones of our own workers but for their hash). Main thread; hashing and writing happen on
 * the io thread.
 */
#ifndef FLWR_STORE_OBJECT_SET_H
#define FLWR_STORE_OBJECT_SET_H

#include "common/objects/object_tree.h"
#include "supernode/store/spool.h"

struct object_set;

/* An empty set for the objects of tree (taken over, empty afterwards, on failure too). One
 * reference. 0 or -ENOMEM. */
int object_set_new(struct spool *spool, struct object_tree *tree, struct object_set **out);
/*
 * Large objects (OBJECT_SET_LARGE_BYTES and more, but not the root) are looked at, and not hashed:
 * a worker of ours on this machine does that when it reads them, or has made the ids from their
 * bytes. Before the first put.
 */
#define OBJECT_SET_LARGE_BYTES 65536
void object_set_skip_large_hashes(struct object_set *set);
struct object_set *object_set_ref(struct object_set *set);
/* NULL is fine; the last one frees memory and file, when no put is out any more. */
void object_set_unref(struct object_set *set);
/* Is this the only reference, but for those of puts? (who fills a set stops when nobody else wants
 * it) */
bool object_set_is_last_ref(const struct object_set *set);

const struct object_tree *object_set_tree(const struct object_set *set);
bool object_set_has(const struct object_set *set, size_t index);
size_t object_set_missing(const struct object_set *set);
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
