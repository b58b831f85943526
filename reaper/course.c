#include "reaper/course.h"

#include <signal.h>
#include <sys/wait.h>

#define EXIT_USAGE 2

void course_signal(struct course *course, int signal)
{
	if (signal == SIGTERM || signal == SIGINT || signal == SIGQUIT)
		course->told = true;
}

int64_t course_ended(struct course *course, int status, int64_t ran_ms)
{
	if (!course->restarts || course->told ||
		(WIFEXITED(status) &&
			(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == EXIT_USAGE)))
		return COURSE_OVER;
	if (course->pause_ms == 0 || ran_ms >= COURSE_PAUSE_MAX_MS)
		course->pause_ms = COURSE_PAUSE_MS;
	else if (course->pause_ms > COURSE_PAUSE_MAX_MS / 2)
		course->pause_ms = COURSE_PAUSE_MAX_MS;
	else
		course->pause_ms *= 2;
	return course->pause_ms;
}
