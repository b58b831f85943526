/*
 * spare_app: an app process that was started, in the cage of the app that worked last, before there
 * is a message for it: where no zygote can fork one. It has imported Flower and waits for its task.
 * Main thread. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_SPARE_APP_H
#define FLWR_LAUNCH_SPARE_APP_H

#include "common/launch/app_process.h"

struct spare_app;
struct spare_apps;

/* There is none yet. 0 or -ENOMEM. */
int spare_apps_new(struct agent *agent, struct spare_apps **out);
/* Their processes are not touched. NULL is fine. */
void spare_apps_free(struct spare_apps *apps);

/* The app of a message was started plainly, with that interpreter: the next message may have the
 * same app, and one ahead is of use if that has no limits and no setting. */
void spare_apps_note(
	struct spare_apps *apps, const struct app_process_spec *wanted, const char *python);
/* The worker of a message has ended: have one, if the zygote can fork none any more. */
void spare_apps_message_ended(struct spare_apps *apps);
/* End the one that waits. */
void spare_apps_drop(struct spare_apps *apps);
/* No message of this run will come any more: end the one that waits for one, and start none. */
void spare_apps_run_ended(struct spare_apps *apps, uint64_t run_id);

/*
 * Have the app of a message run in the one that waits. 0: out is as of app_process_start();
 * -ENOENT: none waits; another -errno with a sentence: that one could not take it.
 */
int spare_apps_use(struct spare_apps *apps, const struct app_process_spec *wanted,
	const char *python, const struct sandbox_cage *cage, struct app_process *out,
	struct reason *why);

#endif
