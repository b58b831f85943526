/*
 * sandbox: what apps can reach (--sandbox): which cage there can be on this machine, and its
 * description for each app, which flwr-app-start applies (clientapp/start/cage.h). Main thread;
 * sandbox_new() blocks for some milliseconds, at the start.
 */
#ifndef FLWR_LAUNCH_SANDBOX_H
#define FLWR_LAUNCH_SANDBOX_H

#include "common/base/log.h"
#include "common/base/reason.h"
#include "common/launch/app_user.h"
#include "common/launch/launch_options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sandbox;

enum sandbox_kind { SANDBOX_OFF, SANDBOX_NODE, SANDBOX_STRICT };

struct sandbox_options {
	const struct launch_options *launch; /* borrowed, as the next, for the sandbox's life */
	const struct app_user *user;         /* of apps; NULL: ours */
	const char *flwr_home;
};

/*
 * Find out what the kernel can, and make the cage that launch asks for. 0: *out is the caller's;
 * -EINVAL with a sentence that names the option: there is no such cage here; another -errno.
 */
int sandbox_new(const struct sandbox_options *options, struct sandbox **out, struct reason *why);
void sandbox_free(struct sandbox *sandbox);

/*
 * Have path, which belongs to this program, hidden from apps: a file or a directory, that need not
 * be there yet. NULL, and descriptors by name ("fd:N"), are fine. 0; -ENOMEM.
 */
int sandbox_hide(struct sandbox *sandbox, const char *path);

/* The same of the socket at "unix:PATH"; all other addresses, and NULL, are fine. */
int sandbox_hide_socket(struct sandbox *sandbox, const char *address);

/* Log which cage it is, and what it cannot keep from apps on this machine. NULL: nothing. */
void sandbox_tell(const struct sandbox *sandbox, struct log *log);

/* NULL is off, here and below. */
enum sandbox_kind sandbox_kind(const struct sandbox *sandbox);

/* The app that a cage is for. */
struct sandbox_app {
	const char *dir;           /* where the app is installed */
	const char *interpreter;   /* its Python; NULL: it is native */
	const char *file;          /* a native app's; else NULL */
	const char *bridge, *host; /* as in launch_paths */
	const char *start;    /* the same, where a process in the cage may have to execute it, with
				 flwr-cage.so beside it; else NULL */
	const char *writable; /* one more directory that it may write to; NULL: none */
	uint64_t run_id;
};

/* For the start of a process. */
struct sandbox_cage {
	char *description; /* as flwr-app-start takes it; NULL: no cage */
	char *directory;   /* its working directory; NULL: ours */
	char **env;        /* "NAME=value", beside what is inherited; ends in NULL; NULL: none */
	const char *const *env_keep; /* strict: lists "NAME,PREFIX*" of what is inherited; ends in
					NULL; borrowed; NULL: all is */
};

/* Describe the cage of an app. 0: sandbox_cage_done() is due; -EPERM: the app is not installed
 * where apps are; another -errno; why is a sentence without paths. */
int sandbox_cage(struct sandbox *sandbox, const struct sandbox_app *app, struct sandbox_cage *out,
	struct reason *why);
/*
 * Describe the cage of a zygote: a Python that imports what is installed, runs no app, and forks
 * processes that get cages of apps. 0: sandbox_cage_done() is due; -EPERM with a sentence: it must
 * not be there, because there is no such cage, and apps may change what it imports; -ENOMEM.
 */
int sandbox_zygote(struct sandbox *sandbox, const char *interpreter, struct sandbox_cage *out,
	struct reason *why);
void sandbox_cage_done(struct sandbox_cage *cage);
/* Can a process in the one reach what it can in the other? */
bool sandbox_cage_same(const struct sandbox_cage *a, const struct sandbox_cage *b);

/* The run is over, and its apps are gone, or have been killed: forget what they were refused; its
 * directories are removed by sandbox_sweep(). NULL, and runs that had no cage, are fine. */
void sandbox_run_ended(struct sandbox *sandbox, uint64_t run_id);
/* Remove some files of runs that are over: an app may have left very many. Are there more? */
bool sandbox_sweep(struct sandbox *sandbox);

/*
 * Is this line of an app's stderr one about a refusal that the log has already, of this run? Else
 * it counts as said from now on. The lines that a run has said are forgotten when many other runs
 * have had messages since, or when it says many others. arg is the sandbox: a process_filter.
 */
bool sandbox_repeats(void *arg, uint64_t run_id, const char *line, size_t len);

#endif
