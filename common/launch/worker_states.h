/*
 * worker_states: what a worker and its app can be in, and what is done about each event, as one
 * table without a hole. Pure.
 *
 * A worker process ends, and later is gone: all that it has started is gone, too. So does its app.
 */
#ifndef FLWR_LAUNCH_WORKER_STATES_H
#define FLWR_LAUNCH_WORKER_STATES_H

#include <stdbool.h>
#include <stdint.h>

enum worker_step {
	/* The worker lives. */
	WORKER_SPARE,     /* it has no message */
	WORKER_ALONE,     /* it has a message, and has asked for no app */
	WORKER_ASKED,     /* its app is being started */
	WORKER_ASKED_NOT, /* the same, and the worker wants it no more */
	WORKER_AT_WORK,   /* its app lives */
	WORKER_REFUSES, /* its app lives, and was told to stop, since the worker wants it no more */
	WORKER_HEARD,   /* its app has ended, and is not gone */
	WORKER_BEREFT,  /* its app is gone, or could not be started */
	/* The worker has ended, and is not gone. */
	WORKER_OVER,       /* without an app that is not gone */
	WORKER_OVER_SPARE, /* it had no message */
	WORKER_OVER_ASKED, /* its app is being started: it will be killed */
	WORKER_OVER_APP,   /* its app lives and may end by itself */
	WORKER_OVER_CUT,   /* its app lives, and was stopped or killed */
	WORKER_OVER_HEARD, /* its app has ended, and is not gone */
	/* The worker is gone, its app is not. */
	WORKER_LEFT_ASKED, /* it is being started, and will be killed */
	WORKER_LEFT_APP,   /* which may end by itself */
	WORKER_LEFT_CUT,   /* which was stopped or killed */
	WORKER_LEFT_HEARD, /* which has ended */
	WORKER_GONE,       /* nothing is left: the end */
	WORKER_STEP_N
};

enum worker_event {
	WORKER_BEGINS,    /* it is given its message */
	WORKER_WANTS_APP, /* by its control socket, as the next one */
	WORKER_WANTS_NO_APP,
	WORKER_APP_STARTED,
	WORKER_APP_FAILED, /* to start */
	WORKER_APP_ENDED,
	WORKER_APP_GONE,
	WORKER_APP_LATE,   /* --app-exit-grace is over */
	WORKER_ENDED_WELL, /* with status 0: it has answered */
	WORKER_ENDED_BADLY,
	WORKER_IS_GONE,
	WORKER_STOPPED, /* the owner wants it no more */
	WORKER_EVENT_N
};

/* What to do, in this order; bits. */
enum {
	DO_REFUSE = 1 << 0, /* it asked for what it may not ask: kill it */
	DO_START_APP =
		1 << 1, /* then WORKER_APP_STARTED or WORKER_APP_FAILED follows, at once or later */
	DO_TELL_APP = 1 << 2,  /* to the worker: how its app ended */
	DO_TELL_CUT = 1 << 3,  /* to the log: the app was not left to its own end */
	DO_FLUSH_APP = 1 << 4, /* what it has printed goes into the log before the reply */
	DO_WAIT_APP = 1 << 5,  /* for --app-exit-grace */
	DO_NOTE_LATE = 1 << 6, /* why the app is cut: it has had its time */
	DO_NOTE_STOP = 1 << 7, /* why the app is cut: the owner said so */
	DO_STOP_WORKER = 1 << 8,
	DO_STOP_APP = 1 << 9,
	DO_KILL_APP = 1 << 10,
	DO_SPARE_OVER = 1 << 11, /* tell spare.c */
	DO_TELL_ENDED = 1 << 12, /* tell the owner */
	DO_SETTLE = 1 << 13      /* tell the owner that all is gone, and free it */
};

struct worker_answer {
	bool known; /* for the test that walks the table */
	bool never; /* it cannot happen: an error of ours */
	enum worker_step next;
	uint32_t todo;
};

/* What follows from event in this step. Borrowed, static. */
const struct worker_answer *worker_answer(enum worker_step step, enum worker_event event);

/* For log lines and tests. */
const char *worker_step_name(enum worker_step step);

#endif
