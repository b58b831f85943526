/*
 * dict_internal: what libflwr and flwr-native-host need of a flwr_dict beside the public functions:
 * the way from and to common/records, whose codecs know the forms of Flower, and where new arrays
 * lie. A dict and its records belong to one thread at a time.
 *
 * A flwr_dict is made by flwr_dict_new(), freed by flwr_dict_free(). Records are heap objects of
 * their own: a flwr_record does not move while others are added.
 */
#ifndef FLWR_APP_DICT_INTERNAL_H
#define FLWR_APP_DICT_INTERNAL_H

#include "common/base/slice.h"
#include "common/base/value.h"
#include "common/records/records.h"
#include "libflwr/app/error_internal.h"

#include <flwr/records.h>

/*
 * Move all of records to the end of dict, which is mostly empty; array bytes stay where they are,
 * by reference, and are looked at only when somebody asks for them. Names and keys are each there
 * once (the decoders see to it). 0, or -ENOMEM with flwr_error(), and dict is empty then. records
 * is empty afterwards in any case.
 */
int dict_take_records(struct flwr_dict *dict, struct record_dict *records)
	FLWR_PRIVATE(dict_take_records);

/*
 * Put everything of dict at the end of out, which is mostly empty, in order. Array bytes are
 * references, values are copied; dict stays as it is and may be freed at once (the bytes live on).
 * Arrays that were taken and not touched come out as they came in (dtype, shape, stype, the pieces
 * of their bytes); new ones are .npy with NumPy's name of their dtype, their header and elements in
 * one or two slices. 0; -EINVAL when dict is spoilt, with that sentence in flwr_error(); -ENOMEM
 * with flwr_error(). On failure out is as it was.
 *
 * The release() of flwr_set_array_ref() runs on the thread that drops the last reference: to have
 * it on the node's thread, keep the dict until every other reference is gone, and free it there.
 */
int dict_give_records(const struct flwr_dict *dict, struct record_dict *out)
	FLWR_PRIVATE(dict_give_records);

/* Move all entries of values to a record of kind FLWR_CONFIGS or FLWR_METRICS, in place of what it
 * held; values is empty afterwards in any case. 0, or -ENOMEM with flwr_error() (the record is
 * empty then). For node_config and run_config: flwr_dict_add() a record, fill it by this. */
int record_take_values(struct flwr_record *record, struct value_map *values)
	FLWR_PRIVATE(record_take_values);

/* A copy of all entries of a record of values at the end of out. 0, or -ENOMEM with flwr_error().
 */
int record_give_values(const struct flwr_record *record, struct value_map *out)
	FLWR_PRIVATE(record_give_values);

/* The records of from in place of what to held; array bytes are shared. to is not spoilt
 * afterwards. 0; -EINVAL when from is spoilt, -ENOMEM, both with flwr_error() and to is empty. */
int dict_copy(struct flwr_dict *to, const struct flwr_dict *from) FLWR_PRIVATE(dict_copy);

/* Exchange all that two dicts hold, and whether they are spoilt; records keep their addresses. The
 * memory of dict_set_memory() stays where it is. */
void dict_swap(struct flwr_dict *a, struct flwr_dict *b) FLWR_PRIVATE(dict_swap);

/* The sentence of the call that has spoilt dict, or NULL. Borrowed. */
const char *dict_spoilt(const struct flwr_dict *dict) FLWR_PRIVATE(dict_spoilt);

/*
 * Memory for arrays that are written to (flwr_new_array(), flwr_set_array(), flwr_edit_data()):
 * bytes, all zero, aligned to 64, that may be written to until the owner is released. The library
 * writes a .npy header to their beginning (a multiple of 64 bytes) and the elements behind it, so
 * that they can travel as they are: dict_give_records() gives them as one slice. 0 and *out is the
 * caller's; -errno: the array cannot be made.
 */
typedef int array_memory_fn(void *arg, size_t bytes, struct slice *out);

/* Let new arrays of dict lie in this memory from now on; NULL: on the heap, as at first. */
void dict_set_memory(struct flwr_dict *dict, array_memory_fn *memory, void *arg)
	FLWR_PRIVATE(dict_set_memory);

/* Is every array of the record a .npy of numbers (flwr_array.dtype is not FLWR_OTHER)? 0, or
 * FLWR_E_DATA with flwr_error(), which names the array: for flwr_start_numpy_client(). Looks at
 * headers only. */
int record_check_numbers(const struct flwr_record *record) FLWR_PRIVATE(record_check_numbers);

#endif
