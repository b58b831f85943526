/*
 * app_form: the form in which messages, contexts and replies pass between the worker and an app
 * process: one memory file (memfd) with a small head (structure, names, metadata) and the bytes of
 * all arrays behind it. The form is ours and independent of Flower's releases; bridge/form.py and
 * clientapp/native are its other ends. docs/app-form.md describes it.
 */
#ifndef FLWR_RUN_APP_FORM_H
#define FLWR_RUN_APP_FORM_H

#include "common/base/memory_file.h"
#include "common/message/envelope.h"
#include "common/records/records.h"

/* A message to handle, as a worker knows it. Everything is borrowed. */
struct app_task {
	const struct metadata *metadata;
	const struct record_dict *content;
	uint64_t run_id;
	uint64_t node_id;
	uint64_t series_id; /* 0: none */
	const struct value_map *node_config;
	const struct value_map *run_config;
	const struct record_dict *state;
	const char *app_dir; /* the installed FAB, whose pyproject.toml names the ClientApp */
	const char *fab_id;  /* what Flower's loading function is told of the FAB */
	const char *fab_version;
	const char *fab_hash;
	/* Arrays that lie in it stay where they are, and the task is written around them; NULL: a
	 * new file. */
	struct memory_file *file;
};

/* Answer of an app process: an error or content, never both. */
struct app_reply {
	/* The app could not be loaded (1), raised (2), or returned a message with an error of its
	 * own. */
	bool has_error;
	int64_t error_code;
	char *error_reason;
	char *traceback; /* for the log; "" when none */
	bool has_content;
	struct metadata
		metadata; /* as the app made it: only ttl, message_type and group_id are set */
	struct record_dict content;
	/* The Context as the app left it, after an exception, too (as Flower keeps it); not there
	 * when no task was read, or what the app left cannot be kept. */
	bool has_context;
	struct record_dict state;
	struct value_map node_config;
	struct value_map run_config;
};

void app_reply_done(struct app_reply *reply);

/* Write a task to its memory file, or to a new one. 0: *fd_out is the caller's; -errno. Array bytes
 * that are not there yet are copied once, into it. */
int app_form_write_task(const struct app_task *task, int *fd_out);

/*
 * Read a reply from a memfd (borrowed): it is mapped; array bytes are references into the mapping.
 * The file must be sealed (F_SEAL_SHRINK | F_SEAL_WRITE), else -EBADMSG: the app process could
 * change it under us. 0; -EBADMSG with a sentence; -ENOMEM.
 */
int app_form_read_reply(int fd, struct app_reply *out, struct reason *why);

#endif
