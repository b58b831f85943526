/*
 * node: the functions of <flwr/client.h>. The thread that runs the node takes what is in the
 * mailbox: it writes log lines, works on a task, learns the end. The session lives on the engine's
 * thread: it is made, stopped and freed by work that is posted there.
 *
 * A node is NEW until its first step, which holds the engine. `ended` is set when the session's end
 * was taken out; the session itself goes with flwr_node_free().
 */
#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/node/engine.h"
#include "libflwr/node/mailbox.h"
#include "libflwr/node/session.h"
#include "libflwr/node/settings.h"
#include "libflwr/node/task.h"
#include "libflwr/node/work.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_GAP_MS   10000 /* between lines about it */
#define LINE_BYTES        8192  /* of a line, at most */
#define OPTIONS_BYTES_MIN (offsetof(struct flwr_options, log) + sizeof(flwr_log_fn *))

struct flwr_node {
	struct settings settings;
	struct mailbox mailbox;
	struct log *log;       /* its lines go to the mailbox; for the engine's thread */
	struct engine *engine; /* NULL: not started */
	/* The engine's thread. */
	struct session *session;
	struct loop_work start, stop, abandon;
	/* Any thread. */
	_Atomic(struct loop *) loop; /* the engine's; NULL: not started */
	atomic_bool stopping, stop_posted;
	atomic_int state; /* enum flwr_node_state, but WORKING and STOPPING */
	_Atomic uint64_t node_id;
	atomic_bool busy;            /* in a step */
	_Atomic(struct task *) task; /* that is worked on */
	_Atomic int64_t progress_ms; /* of the last line about it */
	/* The thread that runs the node. */
	pthread_t runner;
	bool ended;
};

/* ---- log lines ---- */

static void take_line(void *arg, enum log_level level, const char *text)
{
	static const int levels[LOG_LEVEL_N] = {
		[LOG_LEVEL_CRITICAL] = FLWR_LOG_ERROR,
		[LOG_LEVEL_ERROR] = FLWR_LOG_ERROR,
		[LOG_LEVEL_WARN] = FLWR_LOG_WARN,
		[LOG_LEVEL_INFO] = FLWR_LOG_INFO,
		[LOG_LEVEL_DEBUG] = FLWR_LOG_DEBUG,
	};
	struct flwr_node *node = arg;

	mailbox_line(&node->mailbox, levels[level], text);
}

static void write_line(const struct flwr_node *node, int level, double time_s, const char *text)
{
	if (node->settings.log)
		node->settings.log(level, time_s, text, node->settings.log_user);
}

static void write_lines(const struct flwr_node *node, struct mail_line *lines, unsigned dropped)
{
	struct mail_line *next;
	char text[64];

	for (struct mail_line *line = lines; line; line = next) {
		next = line->next;
		write_line(node, line->level, line->time_s, line->text);
		free(line);
	}
	if (dropped == 0)
		return;
	snprintf(text, sizeof text, "%u lines were dropped", dropped);
	write_line(node, FLWR_LOG_WARN, clock_wall_s(), text);
}

static bool is_runner(const struct flwr_node *node)
{
	return pthread_equal(pthread_self(), node->runner);
}

/* Lines from while the program's function works. */
static void write_waiting(struct flwr_node *node)
{
	unsigned dropped;
	struct mail_line *lines;

	if (!is_runner(node))
		return;
	lines = mailbox_take_lines(&node->mailbox, &dropped);
	write_lines(node, lines, dropped);
}

/* ---- what a function of the program calls ---- */

static void hook_log(void *arg, int level, const char *line)
{
	struct flwr_node *node = arg;

	write_waiting(node);
	if (is_runner(node))
		write_line(node, level, clock_wall_s(), line);
	else
		mailbox_line(&node->mailbox, level, line);
}

static void hook_progress(void *arg, double fraction, const char *text)
{
	struct flwr_node *node = arg;
	int64_t now_ms = clock_now_ms(), last_ms = atomic_load(&node->progress_ms);
	char line[LINE_BYTES + 64];

	write_waiting(node);
	if (node->settings.log_level < LOG_LEVEL_INFO || now_ms - last_ms < PROGRESS_GAP_MS ||
		!atomic_compare_exchange_strong(&node->progress_ms, &last_ms, now_ms))
		return;
	snprintf(line, sizeof line, "progress: %d %%%s%s", (int)(fraction * 100),
		text[0] ? ": " : "", text);
	text_cut(line, LINE_BYTES);
	hook_log(node, FLWR_LOG_INFO, line);
}

static bool hook_stopping(void *arg)
{
	struct flwr_node *node = arg;
	const struct task *task = atomic_load(&node->task);

	write_waiting(node);
	return atomic_load(&node->stopping) || (task && atomic_load(&task->unwanted));
}

static const struct context_hooks hooks = {
	.log = hook_log, .progress = hook_progress, .stopping = hook_stopping};

/* ---- the session's callbacks, on the engine's thread ---- */

static void on_ready(void *arg, bool ready, uint64_t node_id)
{
	struct flwr_node *node = arg;

	atomic_store(&node->state, ready ? FLWR_NODE_READY : FLWR_NODE_CONNECTING);
	atomic_store(&node->node_id, node_id);
}

static void on_ended(void *arg, int result, const char *sentence)
{
	struct flwr_node *node = arg;

	mailbox_end(&node->mailbox, result, sentence);
}

static void on_gone(void *arg)
{
	struct flwr_node *node = arg;

	mailbox_gone(&node->mailbox);
}

/* ---- work for the engine's thread ---- */

static void run_start(struct loop_work *work)
{
	struct flwr_node *node = container_of(work, struct flwr_node, start);
	const struct session_options options = {.settings = &node->settings,
		.engine = node->engine,
		.log = node->log,
		.mailbox = &node->mailbox,
		.ready = on_ready,
		.ended = on_ended,
		.gone = on_gone,
		.arg = node};
	struct reason why = {.text = "no memory"};
	int r = node->settings.bidi ? session_bidi_new(&options, &node->session, &why)
				    : session_superlink_new(&options, &node->session, &why);

	if (r)
		mailbox_end(&node->mailbox, r == -ENOMEM ? FLWR_E_MEMORY : FLWR_E_SYSTEM, why.text);
}

static void run_stop(struct loop_work *work)
{
	struct flwr_node *node = container_of(work, struct flwr_node, stop);

	if (node->session)
		node->session->ops->stop(node->session);
}

static void run_abandon(struct loop_work *work)
{
	struct flwr_node *node = container_of(work, struct flwr_node, abandon);

	if (node->session)
		node->session->ops->abandon(node->session);
	else
		on_gone(node);
}

static void run_answered(struct loop_work *work)
{
	struct task *task = container_of(work, struct task, work);

	task->session->ops->answered(task->session, task);
}

/* ---- the thread that runs the node ---- */

/* Post the stop, once, if there is somebody to post it to. Async-signal-safe. */
static void post_stop(struct flwr_node *node)
{
	struct loop *loop = atomic_load(&node->loop);

	if (loop && atomic_load(&node->stopping) && !atomic_exchange(&node->stop_posted, true))
		loop_post(loop, &node->stop);
}

static int node_start(struct flwr_node *node)
{
	struct reason why = {0};
	int r = engine_hold(&node->engine, &why);

	if (r)
		return error_from(r == -ENOMEM ? FLWR_E_MEMORY : FLWR_E_SYSTEM, &why);
	atomic_store(&node->state, FLWR_NODE_CONNECTING);
	loop_post(node->engine->loop, &node->start);
	atomic_store(&node->loop, node->engine->loop);
	post_stop(node);
	return 0;
}

/* Its time was over before the node was stepped, say. */
static void skip_task(struct task *task)
{
	task->skipped = true;
	task->result = FLWR_E_APP;
	task->sentence = strdup("the answer was not wanted any more when the message's turn came");
}

static void call_program(struct flwr_node *node, struct task *task)
{
	/* The two kinds of levels have the same numbers; where nobody listens there are none. */
	const struct work_hooks all = {.hooks = &hooks,
		.arg = node,
		.log_level = node->settings.log ? (int)node->settings.log_level : FLWR_LOG_ERROR};

	atomic_store(&node->task, task);
	atomic_store(&node->progress_ms, clock_now_ms());
	work_on(&node->settings, &all, task);
	atomic_store(&node->task, NULL);
}

static void node_work(struct flwr_node *node, struct task *task)
{
	if (atomic_load(&task->unwanted))
		skip_task(task);
	else
		call_program(node, task);
	task->work.run = run_answered;
	loop_post(node->engine->loop, &task->work);
}

static void free_parts(struct task_part *over)
{
	struct task_part *next;

	for (; over; over = next) {
		next = over->next;
		task_part_free(over);
	}
}

static int node_end(struct flwr_node *node, const struct mail *mail)
{
	node->ended = true;
	atomic_store(&node->state, FLWR_NODE_ENDED);
	return mail->result ? error_from(mail->result, &mail->sentence) : FLWR_ENDED;
}

static int node_step(struct flwr_node *node)
{
	struct mail mail;
	int r = node->engine ? 0 : node_start(node);

	if (r) {
		node->ended = true;
		atomic_store(&node->state, FLWR_NODE_ENDED);
		return r;
	}
	mailbox_take(&node->mailbox, &mail);
	write_lines(node, mail.lines, mail.dropped);
	free_parts(mail.over);
	if (mail.task)
		node_work(node, mail.task);
	return mail.ended ? node_end(node, &mail) : 0;
}

int flwr_node_step(struct flwr_node *node)
{
	int r;

	if (!node)
		return error_set(FLWR_E_ARGUMENT, "node is NULL");
	if (atomic_exchange(&node->busy, true))
		return error_set(FLWR_E_STATE, "the node runs already");
	node->runner = pthread_self();
	r = node->ended ? error_set(FLWR_E_STATE, "the node has ended") : node_step(node);
	atomic_store(&node->busy, false);
	return r;
}

int flwr_node_run(struct flwr_node *node)
{
	int r = flwr_node_step(node);

	while (r == 0) {
		struct pollfd mail = {.fd = node->mailbox.fd, .events = POLLIN};

		if (poll(&mail, 1, -1) == 1)
			r = flwr_node_step(node);
	}
	return r == FLWR_ENDED ? 0 : r;
}

int flwr_node_fd(const struct flwr_node *node)
{
	return node ? node->mailbox.fd : -1;
}

void flwr_node_stop(struct flwr_node *node)
{
	const int before = errno;

	if (!node)
		return;
	atomic_store(&node->stopping, true);
	post_stop(node);
	mailbox_wake(&node->mailbox);
	errno = before;
}

enum flwr_node_state flwr_node_get_state(const struct flwr_node *node)
{
	enum flwr_node_state state =
		node ? (enum flwr_node_state)atomic_load(&node->state) : FLWR_NODE_ENDED;

	if (state == FLWR_NODE_ENDED)
		return state;
	if (atomic_load(&node->stopping))
		return FLWR_NODE_STOPPING;
	return atomic_load(&node->task) ? FLWR_NODE_WORKING : state;
}

uint64_t flwr_node_id(const struct flwr_node *node)
{
	return node ? atomic_load(&node->node_id) : 0;
}

/* ---- its life ---- */

static int node_init(struct flwr_node *node, const struct flwr_options *options)
{
	int r = mailbox_init(&node->mailbox);

	if (r)
		return error_system(r, "flwr_node_new");
	r = settings_read(options, &node->settings);
	if (r)
		return r;
	node->log = log_new_for(take_line, node, node->settings.log_level);
	if (!node->log)
		return error_system(-ENOMEM, "flwr_node_new");
	return settings_load(options, node->log, &node->settings);
}

int flwr_node_new(const struct flwr_options *given, struct flwr_node **out)
{
	struct flwr_options options;
	struct flwr_node *node;
	int r;

	if (!out)
		return error_set(FLWR_E_ARGUMENT, "out is NULL");
	*out = NULL;
	r = table_read(given, &options, sizeof options, OPTIONS_BYTES_MIN, "struct flwr_options");
	if (r)
		return r;
	node = calloc(1, sizeof *node);
	if (!node)
		return error_system(-ENOMEM, "flwr_node_new");
	node->start.run = run_start;
	node->stop.run = run_stop;
	node->abandon.run = run_abandon;
	r = node_init(node, &options);
	if (r) {
		flwr_node_free(node);
		return r;
	}
	*out = node;
	return 0;
}

/* Take out what is left, until nothing refers to the node any more. */
static void node_drain(struct flwr_node *node)
{
	bool left;
	bool session = node->engine != NULL;
	struct mail mail;

	if (session)
		loop_post(node->engine->loop, &node->abandon);
	do {
		left = mailbox_wait_over(&node->mailbox, session);
		mailbox_take(&node->mailbox, &mail);
		write_lines(node, mail.lines, mail.dropped);
		free_parts(mail.over);
		task_unref(mail.task);
	} while (left);
}

void flwr_node_free(struct flwr_node *node)
{
	if (!node)
		return;
	node->runner = pthread_self();
	if (node->mailbox.fd >= 0) {
		node_drain(node);
		mailbox_done(&node->mailbox);
	}
	engine_release(node->engine);
	log_free(node->log);
	settings_done(&node->settings);
	free(node);
}
