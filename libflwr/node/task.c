#include "libflwr/node/task.h"

#include "common/base/cleanup.h"

#include <flwr/records.h>

#include <stdlib.h>

static void part_unpinned(struct slice_owner *owner)
{
	struct task_part *part = container_of(owner, struct task_part, pin);

	mailbox_over(part->task->mailbox, part);
}

static void part_init(struct task_part *part, struct task *task)
{
	slice_owner_init(&part->pin, part_unpinned);
	part->task = task;
	task->parts++;
}

struct task *task_new(struct mailbox *mailbox, struct session *session)
{
	struct task *task = calloc(1, sizeof *task);

	if (!task)
		return NULL;
	part_init(&task->reply_part, task);
	part_init(&task->state_part, task);
	atomic_init(&task->unwanted, false);
	task->mailbox = mailbox;
	task->session = session;
	mailbox_count_task(mailbox, 1);
	return task;
}

static void part_unref(struct task_part *part)
{
	struct slice mine = {.owner = &part->pin};

	slice_unref(&mine);
}

void task_unref(struct task *task)
{
	if (!task)
		return;
	record_dict_done(&task->content);
	record_dict_done(&task->reply);
	record_dict_done(&task->state);
	part_unref(&task->reply_part);
	part_unref(&task->state_part);
}

static void pin_slice(struct task_part *part, struct slice *slice)
{
	struct slice pinned = {.data = slice->data, .len = slice->len, .owner = &part->pin};

	/* Static bytes need nobody. An earlier part that is pinned already stays so: else each
	 * round would hold the ones before it. */
	if (!slice->owner || slice->owner->release == part_unpinned)
		return;
	pinned = slice_ref(pinned);
	slice_unref(slice);
	*slice = pinned;
}

void task_pin(struct task_part *part, struct record_dict *dict)
{
	for (size_t i = 0; i < dict->n; i++)
		for (size_t k = 0; k < dict->v[i].n_arrays; k++) {
			struct slices *data = &dict->v[i].arrays[k].data;

			for (size_t n = 0; n < data->n; n++)
				pin_slice(part, &data->v[n]);
		}
}

static void task_free(struct task *task)
{
	metadata_done(&task->metadata);
	value_map_done(&task->node_config);
	value_map_done(&task->run_config);
	free(task->sentence);
	mailbox_count_task(task->mailbox, -1);
	free(task);
}

void task_part_free(struct task_part *part)
{
	struct task *task = part->task;

	flwr_dict_free(part->dict);
	if (--task->parts == 0)
		task_free(task);
}
