#include "common/launch/zygote_runs.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/launch/agent_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define RUNS_NOTED 64 /* of which the log has said something; the oldest is forgotten */

/* A zygote, until its process is gone. */
struct run_zygote {
	LIST_ENTRY(run_zygote) link;
	struct zygote_app app;
	struct zygote *zygote;
	int64_t used_ms; /* when it was started, or a fork of it has begun last */
};

struct run_note {
	uint64_t id; /* 0: none */
	bool used, failed;
	unsigned failures; /* zygotes that did not fork, since a fork has begun with a message */
};

struct zygote_runs {
	struct agent *agent;
	LIST_HEAD(, run_zygote) zygotes;
	bool stopped;
	struct run_note notes[RUNS_NOTED];
	size_t notes_at; /* the oldest */
};

void zygote_app_done(struct zygote_app *app)
{
	free(app->dir);
	free(app->name);
	free(app->python);
	free(app->loaded);
	sandbox_cage_done(&app->cage);
	*app = (struct zygote_app){.dir = NULL};
}

int zygote_runs_new(struct agent *agent, struct zygote_runs **out)
{
	struct zygote_runs *runs = calloc(1, sizeof *runs);

	if (!runs)
		return -ENOMEM;
	runs->agent = agent;
	*out = runs;
	return 0;
}

static void run_free(struct run_zygote *run)
{
	if (!run)
		return;
	zygote_free(run->zygote);
	zygote_app_done(&run->app);
	free(run);
}

static void run_free_at_exit(struct run_zygote **run)
{
	run_free(*run);
}

void zygote_runs_free(struct zygote_runs *runs)
{
	struct run_zygote *run;

	if (!runs)
		return;
	while ((run = LIST_FIRST(&runs->zygotes))) {
		LIST_REMOVE(run, link);
		run_free(run);
	}
	free(runs);
}

/* ---- what is known of a run ---- */

static struct run_note *note_of(struct zygote_runs *runs, uint64_t id)
{
	struct run_note *note;

	for (size_t i = 0; i < RUNS_NOTED; i++)
		if (runs->notes[i].id == id)
			return &runs->notes[i];
	note = &runs->notes[runs->notes_at];
	runs->notes_at = (runs->notes_at + 1) % RUNS_NOTED;
	*note = (struct run_note){.id = id};
	return note;
}

static struct run_zygote *run_of(struct zygote_runs *runs, const struct zygote_app *app)
{
	struct run_zygote *run;

	LIST_FOREACH(run, &runs->zygotes, link)
	if (&run->app == app)
		return run;
	return NULL;
}

void zygote_runs_used(struct zygote_runs *runs, const struct zygote_app *app)
{
	struct run_note *note = note_of(runs, app->run_id);
	struct run_zygote *run = run_of(runs, app);

	if (run)
		run->used_ms = clock_now_ms();
	if (!note->used)
		log_info(runs->agent->log,
			"run %" PRIu64
			": flwr_preload() of %s is in use: the messages of this run come from a process that has called it",
			app->run_id, app->name);
	note->used = true;
	note->failures = 0;
}

bool zygote_runs_try_again(struct zygote_runs *runs, const struct zygote_app *app, const char *why)
{
	if (++note_of(runs, app->run_id)->failures >= ZYGOTE_FAILURES)
		return false;
	log_warn(runs->agent->log,
		"zygote of run %" PRIu64 ": %s; the app of the next message starts without it",
		app->run_id, why);
	return true;
}

void zygote_runs_failed(struct zygote_runs *runs, const struct zygote_app *app, const char *why)
{
	char quoted[300];

	text_quote(why, strlen(why), quoted, sizeof quoted);
	log_warn(runs->agent->log,
		"run %" PRIu64
		": flwr_preload() of %s cannot be used ahead: %s; each message of this run calls it by itself; the function should load data or models, and nothing else, or not be there",
		app->run_id, app->name, quoted);
	note_of(runs, app->run_id)->failed = true;
}

void zygote_runs_gone(struct zygote_runs *runs, const struct zygote_app *app)
{
	struct run_zygote *run = run_of(runs, app);

	if (!run)
		return;
	LIST_REMOVE(run, link);
	run_free(run);
}

/* ---- which one ---- */

/* The one that is not over. NULL: there is none. */
static struct run_zygote *run_live(struct zygote_runs *runs, uint64_t id)
{
	struct run_zygote *run;

	LIST_FOREACH(run, &runs->zygotes, link)
	if (run->app.run_id == id && !zygote_is_over(run->zygote))
		return run;
	return NULL;
}

/* Would a message of this app get the same as what runs in that zygote? */
static bool run_serves(const struct run_zygote *run, const char *dir, const char *python,
	const struct sandbox_cage *cage)
{
	return strcmp(run->app.dir, dir) == 0 && strcmp(run->app.python, python) == 0 &&
	       sandbox_cage_same(&run->app.cage, cage);
}

struct zygote *zygote_runs_find(struct zygote_runs *runs, const struct control_app *app,
	const char *python, const struct sandbox_cage *cage)
{
	bool known = app && app->run_id && app->dir;
	struct run_zygote *run = known ? run_live(runs, app->run_id) : NULL;

	if (!run)
		return NULL;
	if (run_serves(run, app->dir, python, cage))
		return run->zygote;
	log_debug(runs->agent->log,
		"zygote of run %" PRIu64
		": its app, cage or interpreter is another one now, not kept",
		app->run_id);
	zygote_stop(run->zygote);
	return NULL;
}

/* ---- a new one ---- */

/* There are no more of them than messages at work. */
static void make_room(struct zygote_runs *runs)
{
	struct run_zygote *run, *oldest = NULL;
	int64_t n = 0;

	LIST_FOREACH(run, &runs->zygotes, link)
	{
		if (zygote_is_over(run->zygote))
			continue;
		n++;
		if (!oldest || run->used_ms < oldest->used_ms)
			oldest = run;
	}
	if (!oldest || n < runs->agent->options->max_workers)
		return;
	log_debug(runs->agent->log,
		"zygote of run %" PRIu64 ": another run needs its place, not kept",
		oldest->app.run_id);
	zygote_stop(oldest->zygote);
}

static int run_start(struct zygote_runs *runs, struct zygote_app *app, struct reason *why)
{
	auto_(run_free_at_exit) struct run_zygote *run = calloc(1, sizeof *run);
	int r;

	if (!run)
		return -ENOMEM;
	run->app = *app;
	*app = (struct zygote_app){.dir = NULL};
	run->used_ms = clock_now_ms();
	r = zygote_new_of_run(runs->agent, &run->app, &run->zygote, why);
	if (r)
		return r;
	LIST_INSERT_HEAD(&runs->zygotes, run, link);
	take_pointer(&run);
	return 0;
}

void zygote_runs_tell(struct zygote_runs *runs, struct zygote_app *app)
{
	struct run_zygote *run;
	struct reason why = {.text = ""};
	uint64_t id = app->run_id;
	int r;

	/* Later messages say which app they are for. */
	if (!app->dir)
		runs->agent->names_apps = true;
	if (!app->dir || strchr(app->dir, '\n') || !id || runs->stopped ||
		note_of(runs, id)->failed)
		return;
	run = run_live(runs, id);
	if (run && run_serves(run, app->dir, app->python, &app->cage))
		return;
	if (run)
		zygote_stop(run->zygote);
	make_room(runs);
	r = run_start(runs, app, &why);
	if (r)
		log_debug(runs->agent->log, "no zygote of run %" PRIu64 ": %s", id,
			why.text[0] ? why.text : strerror(-r));
}

void zygote_runs_message_ended(struct zygote_runs *runs)
{
	struct run_zygote *run;

	LIST_FOREACH(run, &runs->zygotes, link)
	zygote_message_ended(run->zygote);
}

void zygote_runs_ended(struct zygote_runs *runs, uint64_t id)
{
	struct run_zygote *run;

	LIST_FOREACH(run, &runs->zygotes, link)
	if (run->app.run_id == id)
		zygote_stop(run->zygote);
	for (size_t i = 0; i < RUNS_NOTED; i++)
		if (runs->notes[i].id == id)
			runs->notes[i] = (struct run_note){.id = 0};
}

void zygote_runs_stop(struct zygote_runs *runs)
{
	struct run_zygote *run;

	runs->stopped = true;
	LIST_FOREACH(run, &runs->zygotes, link)
	zygote_stop(run->zygote);
}
