/*
 * limits: what flwr-app-start lets the process of an app use: a control group that it becomes a
 * member of, or limits of its own. Needs nothing but libc.
 */
#ifndef FLWR_START_LIMITS_H
#define FLWR_START_LIMITS_H

/* The command line gives them as texts; NULL: one is left as it is. */
struct limits {
	const char *group;     /* the file of its members */
	const char *data;      /* bytes: RLIMIT_DATA */
	const char *processes; /* RLIMIT_NPROC */
	const char *cpus;      /* "0,1" */
};

/* Apply all of them, with the rights to do so. 0, or EXIT_NOT_BEGUN with a line on stderr. */
int limits_apply(const struct limits *limits);

#endif
