/*
 * course: whether and when the reaper starts its program again. Pure.
 */
#ifndef FLWR_REAPER_COURSE_H
#define FLWR_REAPER_COURSE_H

#include <stdbool.h>
#include <stdint.h>

#define COURSE_PAUSE_MS     1000  /* before the first new start; doubled each time */
#define COURSE_PAUSE_MAX_MS 60000 /* a program that ran as long begins with the first pause */
#define COURSE_OVER         (-1)

/* All zero at the beginning. */
struct course {
	bool restarts; /* the program has asked for it (--restart) */
	bool told;     /* to end, by a signal */
	int64_t pause_ms;
};

/* A signal has come, for the program. */
void course_signal(struct course *course, int signal);

/*
 * The program has ended with status (waitpid()'s), after ran_ms. Returns for how long to wait
 * before it is started again; COURSE_OVER: it is not: it was told to end, has ended without an
 * error or with 2 (wrong options stay wrong), or does not want to be.
 */
int64_t course_ended(struct course *course, int status, int64_t ran_ms);

#endif
