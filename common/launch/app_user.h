/*
 * app_user: the user that apps run as, when that is not the user of this program. At the start.
 */
#ifndef FLWR_LAUNCH_APP_USER_H
#define FLWR_LAUNCH_APP_USER_H

#include "common/base/reason.h"

/* All texts are malloc()ed. */
struct app_user {
	char *ids;    /* "UID:GID[,GROUP...]", as flwr-app-start takes it */
	char *env[4]; /* "HOME=...", "USER=...", "LOGNAME=..." (of a number without an account:
			 "HOME=/" alone); ends in NULL */
};

/*
 * The user that --app-user names: a name, UID, or UID:GID. 0: *out is the caller's, or NULL: it is
 * the user of this program. -EINVAL with a sentence that names the option: there is none, or this
 * program, which does not run as root, cannot become it. -ENOMEM.
 */
int app_user_new(const char *text, struct app_user **out, struct reason *why);
void app_user_free(struct app_user *user);

/*
 * Can the user enter the Flower home, which is made if it is not there, and execute the interpreter
 * that python (as launch_options has it) names? An interpreter that is not there is not looked at.
 * 0; -EACCES with a sentence that names the option and the path; another -errno with a sentence.
 * flwr-app-start tries it: blocks for some milliseconds.
 */
int app_user_check(
	const struct app_user *user, const char *flwr_home, const char *python, struct reason *why);

#endif
