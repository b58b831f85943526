#include "supernode/state_dir.h"

#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/base/sha256.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWN_NAME    "flwr-native"
#define PLACES_MAX  3
#define NAME_BYTES  128
#define KEY_DIGITS  16
#define DIR_MODE    0700
#define OTHERS_BITS (S_IWGRP | S_IWOTH)

/* "host_port-<first digits of the key's hash>" */
static int folder_name(const char *superlink, const struct auth *key, char name[NAME_BYTES])
{
	struct sha256 *hash = sha256_new();
	char hex[SHA256_HEX_BYTES];
	size_t len, n = 0;
	const char *pem = auth_public_key(key, &len);

	if (!hash)
		return -ENOMEM;
	sha256_add(hash, pem, len);
	sha256_hex(hash, hex);
	sha256_free(hash);
	for (const char *c = superlink ? superlink : "default"; *c && n < NAME_BYTES / 2; c++)
		name[n++] = isalnum((unsigned char)*c) || strchr(".-", *c) ? *c : '_';
	if (name[0] == '.')
		name[0] = '_';
	snprintf(name + n, NAME_BYTES - n, "-%.*s", KEY_DIGITS, hex);
	return 0;
}

static const char *environment(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

/* The places where the folders may lie, in order; owned. */
struct places {
	char *v[PLACES_MAX];
	size_t n;
};

static void places_done(struct places *places)
{
	for (size_t i = 0; i < places->n; i++)
		free(places->v[i]);
}

/* path is taken over; NULL is no memory. */
static int places_add(struct places *places, char *path)
{
	if (!path)
		return -ENOMEM;
	places->v[places->n++] = path;
	return 0;
}

static int find_places(const struct state_dir_options *options, struct places *places)
{
	const char *service = environment("STATE_DIRECTORY"); /* of systemd; separated by colons */
	const char *state_home = environment("XDG_STATE_HOME");
	auto_(free_at_exit) char *home = NULL;
	int r = 0;

	if (options->dir)
		return places_add(places, strdup(options->dir));
	if (service)
		r = places_add(places, strndup(service, strcspn(service, ":")));
	if (r == 0 && state_home)
		r = places_add(places, path_join(state_home, OWN_NAME));
	home = r == 0 ? path_flwr_home(options->flwr_dir) : NULL;
	if (r == 0 && home && !*home) /* there is none */
		return 0;
	return home ? places_add(places, path_join(home, OWN_NAME)) : -ENOMEM;
}

/* Can nobody else but root have made it, or change it? */
static int check_owner(int fd, mode_t others)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return (st.st_uid == geteuid() || st.st_uid == 0) && !(st.st_mode & others) ? 0 : -EPERM;
}

/* The locked folder. The descriptor; -EWOULDBLOCK: another process has it; -errno. */
static int open_folder(const char *place, const char *name)
{
	auto_(close_at_exit) int base = -1;
	auto_(close_at_exit) int folder = -1;
	int r = dir_make(place, DIR_MODE);

	if (r < 0)
		return r;
	base = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (base < 0)
		return -errno;
	r = check_owner(base, S_IWOTH);
	if (r < 0)
		return r;
	if (mkdirat(base, name, DIR_MODE) < 0 && errno != EEXIST)
		return -errno;
	folder = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return -errno;
	r = check_owner(folder, OTHERS_BITS);
	if (r < 0)
		return r;
	if (faccessat(folder, ".", W_OK | X_OK, AT_EACCESS) < 0 ||
		flock(folder, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return take_fd(&folder);
}

static const char *cause_of(int error)
{
	return error == -EPERM ? "it belongs to somebody else, or others can write to it"
			       : strerror(-error);
}

static int open_first(const struct places *places, const char *name, struct log *log,
	struct state_dir *out, struct reason *why)
{
	for (size_t i = 0; i < places->n; i++) {
		const char *place = places->v[i];
		int fd = open_folder(place, name);

		if (fd == -EWOULDBLOCK)
			return reason_code(why, -EBUSY,
				"another SuperNode uses this key at this SuperLink: %s/%s is in use; stop it, or give another key (--auth-supernode-private-key)",
				place, name);
		if (fd >= 0) {
			out->path = path_join(place, name);
			out->lock = fd;
			return out->path ? 0 : -ENOMEM;
		}
		if (i + 1 == places->n)
			log_warn(log,
				"the node's number is kept in memory only: %s: %s; a SuperLink of 1.15 - 1.22 does not take a node back that was killed",
				place, cause_of(fd));
	}
	if (places->n == 0)
		log_warn(log,
			"the node's number is kept in memory only: there is no home; give --state-dir, or --no-state to have it so");
	return 0;
}

int state_dir_open(const struct state_dir_options *options, const struct auth *key, struct log *log,
	struct state_dir *out, struct reason *why)
{
	auto_(places_done) struct places places = {0};
	char name[NAME_BYTES];
	int r;

	*out = (struct state_dir){.lock = -1};
	if (!key) /* a key of the node's own is forgotten when it ends: there is nothing to keep */
		return 0;
	if (options->none) {
		log_info(log, "the node's number is kept in memory only (--no-state)");
		return 0;
	}
	r = folder_name(options->superlink, key, name);
	if (r == 0)
		r = find_places(options, &places);
	return r ? r : open_first(&places, name, log, out, why);
}

void state_dir_close(struct state_dir *state)
{
	free(state->path);
	state->path = NULL;
	if (state->lock > 0)
		close_fd(&state->lock);
}
