/*
 * zygote_imports: what a zygote is to import and to leave out, and the files on which its imports
 * depend. Main thread; starts nothing. Private to common/launch.
 */
#ifndef FLWR_LAUNCH_ZYGOTE_IMPORTS_H
#define FLWR_LAUNCH_ZYGOTE_IMPORTS_H

#include "common/base/options.h"
#include "common/base/text.h"

/* Zeros are: nothing is learnt. */
struct zygote_imports {
	bool learns;         /* apps may add names */
	struct text learned; /* names, a line each */
	struct text refused; /* packages as lines "-NAME" */
	unsigned n_refused;
	struct text depends; /* lines "NANOSECONDS PATH" */
};

void zygote_imports_done(struct zygote_imports *imports);

/* Could these lines be names of modules, and may apps add some? */
bool zygote_imports_accept(const struct zygote_imports *imports, const char *names);
/* A line of R (zygote_socket.h). */
void zygote_imports_take(struct zygote_imports *imports, const char *line);
/* What was learnt may be why it failed: forget it, and learn nothing more. */
void zygote_imports_unlearn(struct zygote_imports *imports);
/* Have fresh ones leave this package out. Was it not left out already? */
bool zygote_imports_refuse(struct zygote_imports *imports, const char *package);

/* The names for a fresh one, a line each, whose answers will fill imports again. It goes by them in
 * this order: what it is to leave out comes first. 0 or -ENOMEM. */
int zygote_imports_begin(
	struct zygote_imports *imports, const struct option_names *preload, struct text *names);

/* Is it known on what it depends, and were packages installed, replaced or removed since? */
bool zygote_imports_changed(const struct zygote_imports *imports);

#endif
