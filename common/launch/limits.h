/*
 * limits: how much memory, how many CPUs and processes the app of a worker may use, and what holds
 * it to that: a control group where this program may make some, else limits of its processes. Main
 * thread.
 */
#ifndef FLWR_LAUNCH_LIMITS_H
#define FLWR_LAUNCH_LIMITS_H

#include "common/base/log.h"
#include "common/launch/group.h"
#include "common/launch/launch_options.h"

struct limits;

/*
 * The limits that options name; it may move this program into another control group. 0, and NULL
 * when they name none; -ENOMEM with a sentence.
 */
int limits_new(const struct launch_options *options, struct limits **out, struct reason *why);
void limits_free(struct limits *limits);

/* How the paths of the control groups of all its apps begin, malloc()ed. NULL: there are none, or
 * no memory. */
char *limits_groups_prefix(const struct limits *limits);

/* The directory of the control group that they divide, with this program and all its apps below it.
 * Borrowed. NULL: there is none. */
const char *limits_groups_dir(const struct limits *limits);

/* Log one line: each limit, and what holds apps to it. WARN when one has no effect. uid: of apps.
 */
void limits_tell(const struct limits *limits, uid_t uid, struct log *log);

/* The limits of one app, before it starts. */
struct app_limits {
	struct group *group; /* NULL: none */
	/* What flwr-app-start is told, as texts; "": it is not. */
	char data_bytes[24]; /* of each process: RLIMIT_DATA */
	char processes[24];  /* of its user: RLIMIT_NPROC */
	char cpus[1024];     /* numbers with commas between them */
};

/*
 * Those of the next app, whose user will be uid. limits NULL: none. 0: app_limits_done() is due;
 * -errno with a sentence.
 */
int app_limits_init(struct limits *limits, uid_t uid, struct app_limits *out, struct reason *why);
/* The app is gone, with all that it has started: what is still in its group is killed. */
void app_limits_done(struct app_limits *limits);

#define APP_LIMITS_WORDS 8 /* at most, of app_limits_words() */
/* Add the words for flwr-app-start at words, which borrow; the place behind them. */
const char **app_limits_words(const struct app_limits *limits, const char **words);

#endif
