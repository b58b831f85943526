/*
 * launch_paths: where the programs that are started lie. Any thread.
 */
#ifndef FLWR_LAUNCH_LAUNCH_PATHS_H
#define FLWR_LAUNCH_LAUNCH_PATHS_H

struct launch_paths {
	char *worker; /* flwr-clientapp */
	char *start;  /* flwr-app-start: keeps an app's orphans, ends with its agent */
	char *bridge; /* the Python bridge's main.py */
	char *host;   /* flwr-native-host: runs an app that is a shared object */
};

/*
 * Find them from where the running program lies: bin/, libexec/flwr-native and share/flwr-native
 * beside that. 0: launch_paths_done() is due; -ENOMEM.
 */
int launch_paths_find(struct launch_paths *out);
void launch_paths_done(struct launch_paths *paths);

#endif
