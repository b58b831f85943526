#include "supernode/store/object_store.h"

#include "common/base/cleanup.h"
#include "supernode/store/spool_file.h"
#include "supernode/store/spool_internal.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum place { PLACE_NONE, PLACE_MEMORY, PLACE_FILE };

struct entry {
	enum place place;
	unsigned puts;         /* that are out */
	struct slices content; /* PLACE_MEMORY */
	uint64_t offset;       /* PLACE_FILE */
	size_t bytes;
	bool kept; /* io thread: it was found to be right, and is kept */
};

struct stored {
	/* The io thread reads of the tree what never changes: all but the root's id. */
	struct object_set set;
	struct spool *spool;
	size_t puts;           /* that are out; each needs the set */
	bool skips_large;      /* object_set_skip_large_hashes() */
	struct entry *entries; /* as in set.tree.v */
	uint64_t bytes;
	/* Made and written by the io thread; main maps what it was told to be there. */
	struct spool_file file;
	bool filing;   /* a put to the file was started: main leaves it to the io thread */
	uint64_t room; /* of a file that was another set's: what is still to be written over */
};

/* An object that is being put into its set. */
struct put {
	struct job job;
	struct stored *stored;
	size_t index;
	struct slices content;
	size_t bytes;
	uint64_t reserved;    /* in memory; 0: to the file */
	uint64_t file_coming; /* counted for the file */
	bool to_file;
	uint64_t offset; /* there */
	object_put_fn *done;
	void *arg;
	int r;
	struct reason why;
};

/* The object is not here any more. Its part of the file stays: the file goes with the set. */
static void entry_drop(struct stored *stored, struct entry *entry)
{
	if (entry->place == PLACE_NONE)
		return;
	if (entry->place == PLACE_MEMORY)
		stored->spool->memory_bytes -= entry->bytes;
	else
		stored->spool->file_bytes -= entry->bytes;
	stored->bytes -= entry->bytes;
	stored->set.missing++;
	slices_done(&entry->content);
	*entry = (struct entry){.puts = entry->puts};
}

static struct stored *stored_of(struct object_set *set)
{
	return container_of(set, struct stored, set);
}

static const struct stored *stored_of_const(const struct object_set *set)
{
	return container_of(set, const struct stored, set);
}

static void stored_free_unused(struct stored *stored)
{
	if (stored->set.refs > 0 || stored->puts > 0)
		return;
	for (size_t i = 0; i < stored->set.tree.n; i++)
		entry_drop(stored, &stored->entries[i]);
	free(stored->entries);
	spool_leave_room(stored->spool, stored->room);
	spool_give_spare(stored->spool, &stored->file);
	object_tree_done(&stored->set.tree);
	free(stored);
}

static void set_unused(struct object_set *set)
{
	stored_free_unused(stored_of(set));
}

int object_set_new(struct spool *spool, struct object_tree *tree, struct object_set **out)
{
	struct stored *stored = calloc(1, sizeof *stored);
	struct entry *entries = calloc(tree->n ? tree->n : 1, sizeof *entries);

	if (!stored || !entries) {
		free(stored);
		free(entries);
		object_tree_done(tree);
		return -ENOMEM;
	}
	stored->set = (struct object_set){
		.tree = *tree, .missing = tree->n, .refs = 1, .unused = set_unused};
	stored->spool = spool;
	stored->entries = entries;
	spool_file_init(&stored->file);
	*tree = (struct object_tree){0};
	*out = &stored->set;
	return 0;
}

void object_set_skip_large_hashes(struct object_set *set)
{
	stored_of(set)->skips_large = true;
}

bool object_set_has(const struct object_set *set, size_t index)
{
	return stored_of_const(set)->entries[index].place != PLACE_NONE;
}

uint64_t object_set_bytes(const struct object_set *set)
{
	return stored_of_const(set)->bytes;
}

/* ---- putting: on the io thread ---- */

/*
 * A small object is copied: as a reference it would keep the whole piece of the network's buffer,
 * with its neighbours in it, for as long as the set. Without memory for it the reference is good
 * enough.
 */
static void content_compact(struct slices *content)
{
	auto_(slices_done) struct slices copy = {0};
	uint8_t *bytes;
	struct slice slice;

	if (content->bytes == 0 || content->bytes >= OBJECT_SET_LARGE_BYTES)
		return;
	bytes = malloc(content->bytes);
	if (!bytes)
		return;
	slices_read(content, 0, bytes, content->bytes);
	if (slice_take(bytes, content->bytes, &slice) < 0) {
		free(bytes);
		return;
	}
	if (slices_append(&copy, slice) < 0)
		return;
	slices_done(content);
	*content = copy;
	copy = (struct slices){0};
}

static int compare_places(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

/* Are these the node's children, in any order? SuperLinks with a database tell the children of a
 * tree in the order of their ids. */
static int has_children(const struct object_tree *tree, const struct object_node *node,
	const struct object_head *head)
{
	size_t n = head->n_children;
	auto_(free_at_exit) uint32_t *said = NULL;
	auto_(free_at_exit) uint32_t *known = NULL;

	if (n != node->n_children)
		return 0;
	if (n == 0)
		return 1;
	said = calloc(n, sizeof *said);
	known = calloc(n, sizeof *known);
	if (!said || !known)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		ptrdiff_t at = object_tree_find(tree, &head->children[i]);

		if (at < 0)
			return 0;
		said[i] = (uint32_t)at;
		known[i] = node->children[i];
	}
	qsort(said, n, sizeof *said, compare_places);
	qsort(known, n, sizeof *known, compare_places);
	return memcmp(said, known, n * sizeof *said) == 0;
}

static int put_check(struct put *put)
{
	const struct object_tree *tree = &put->stored->set.tree;
	const struct object_node *node = &tree->v[put->index];
	bool is_root = put->index + 1 == tree->n;
	bool skips = put->stored->skips_large && !is_root && put->bytes >= OBJECT_SET_LARGE_BYTES;
	auto_(object_head_done) struct object_head head = {0};
	char text[OBJECT_ID_TEXT_BYTES];
	int r = skips ? 0 : object_check_id(&put->content, &node->id);

	object_id_format(&node->id, text);
	if (r == -EBADMSG)
		reason_set(
			&put->why, "the %zu bytes that came are not object %s", put->bytes, text);
	if (r == 0)
		r = object_head_parse(&put->content, &head, &put->why);
	if (r < 0)
		return r;
	if (is_root && head.type != OBJECT_MESSAGE)
		return reason_code(&put->why, -EBADMSG, "object %s is no Message, but of type %s",
			text, object_type_name(head.type));
	r = has_children(tree, node, &head);
	if (r < 0)
		return r;
	if (!r)
		return reason_code(&put->why, -EBADMSG,
			"the children of object %s are not those of the tree", text);
	return 0;
}

static int put_keep(struct put *put)
{
	struct stored *stored = put->stored;
	int r;

	if (!put->to_file) {
		content_compact(&put->content);
		return 0;
	}
	r = spool_file_append(
		&stored->file, stored->spool->dir, &put->content, &put->offset, &put->why);
	slices_done(&put->content);
	return r;
}

static void put_run(struct job *job)
{
	struct put *put = container_of(job, struct put, job);
	struct entry *entry = &put->stored->entries[put->index];

	if (entry->kept || put->r < 0) {
		put->r = entry->kept ? 0 : put->r;
		slices_done(&put->content);
		return;
	}
	put->r = put_check(put);
	if (put->r == 0)
		put->r = put_keep(put);
	if (put->r == -ENOMEM && !put->why.text[0])
		reason_set(&put->why, "no memory for an object of %zu bytes", put->bytes);
	if (put->r < 0)
		slices_done(&put->content);
	entry->kept = put->r == 0;
}

/* ---- putting: on the main thread ---- */

static void put_free(struct put *put)
{
	put->stored->spool->memory_bytes -= put->reserved;
	put->stored->spool->file_coming_bytes -= put->file_coming;
	slices_done(&put->content);
	free(put);
}

/* The entry takes over what the io thread has kept. */
static void entry_fill(struct stored *stored, struct entry *entry, struct put *put)
{
	entry->place = put->to_file ? PLACE_FILE : PLACE_MEMORY;
	entry->bytes = put->bytes;
	entry->offset = put->offset;
	entry->content = put->content;
	put->content = (struct slices){0};
	put->reserved = 0;
	if (put->to_file)
		stored->spool->file_bytes += put->bytes;
	stored->bytes += put->bytes;
	stored->set.missing--;
}

static void put_done(struct job *job)
{
	struct put *put = container_of(job, struct put, job);
	struct stored *stored = put->stored;
	struct entry *entry = &stored->entries[put->index];

	if (put->r == 0 && entry->place == PLACE_NONE)
		entry_fill(stored, entry, put);
	if (put->r == -ENOSPC || put->r == -EDQUOT)
		spool_trim(stored->spool);
	entry->puts--;
	put->done(put->arg, put->index, put->r, &put->why);
	put_free(put);
	stored->puts--;
	stored_free_unused(stored);
}

/* The first one of a set takes a file that another set has left. What has no room in files goes to
 * the io thread, too, where nothing happens to it: answers keep the order of the puts. */
static void put_to_file(struct put *put)
{
	struct stored *stored = put->stored;

	if (!stored->filing)
		stored->room = spool_take_spare(stored->spool, &stored->file);
	stored->filing = true;
	put->r = spool_take_file(stored->spool, put->bytes, &stored->room, &put->why);
	if (put->r < 0)
		return;
	put->file_coming = put->bytes;
	put->to_file = true;
}

int object_set_put(struct object_set *set, size_t index, struct slices *content,
	object_put_fn *done, void *arg)
{
	struct stored *stored = stored_of(set);
	struct put *put = calloc(1, sizeof *put);
	int r;

	assert(index < stored->set.tree.n);
	if (!put) {
		slices_done(content);
		return -ENOMEM;
	}
	put->job = (struct job){.run = put_run, .done = put_done};
	put->stored = stored;
	put->index = index;
	put->content = *content;
	put->bytes = content->bytes;
	put->done = done;
	put->arg = arg;
	*content = (struct slices){0};
	if (spool_take_memory(stored->spool, put->bytes))
		put->reserved = put->bytes;
	else
		put_to_file(put);
	r = loop_job(stored->spool->loop, &put->job);
	if (r < 0) {
		put_free(put);
		return r;
	}
	stored->entries[index].puts++;
	stored->puts++;
	return 0;
}

/* ---- what is here ---- */

int object_set_get(struct object_set *set, size_t index, struct slices *out)
{
	struct stored *stored = stored_of(set);
	const struct entry *entry = &stored->entries[index];
	struct slice slice;
	int r;

	if (entry->place == PLACE_NONE)
		return -ENOENT;
	if (entry->place == PLACE_MEMORY)
		return slices_append_refs(out, &entry->content);
	r = spool_file_map(&stored->file, entry->offset, entry->bytes, &slice);
	return r < 0 ? r : slices_append(out, slice);
}
