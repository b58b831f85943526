/*
 * install_rig: FABs that the real package has made, and Flower homes to install them in.
 */
#ifndef FLWR_TEST_INSTALL_RIG_H
#define FLWR_TEST_INSTALL_RIG_H

#include "common/base/sha256.h"
#include "common/fab/install.h"
#include "kit/test.h"

#define HOME_BYTES 128

/* Made once for all tests of a program; read-only for them. */
extern struct fab_fixture {
	char dir[64];   /* where the FABs lie */
	char name[256]; /* of the directory that the real package made */
	unsigned homes;
} fixture;

struct fab {
	struct slices content;
	char hash[SHA256_HEX_BYTES];
};

/* For cmocka, as a group's setup and teardown. */
int group_setup(void **state);
int group_teardown(void **state);

/* A Flower home, fresh for each install. */
void new_home(char home[HOME_BYTES]);

/* The bytes of a file of the fixture; the caller's. */
char *load(const char *file, size_t *len_out);

/* These bytes, and such a file, in pieces of so many bytes, with their hash. */
void fab_of(const void *bytes, size_t len, size_t piece, struct fab *out);
void fab_load(const char *file, size_t piece, struct fab *out);

/* fab_install() without other limits than the usual ones; the manifest is not kept. */
int install(const struct fab *fab, const char *home, char **dir_out, struct reason *why);
int install_with(const struct fab *fab, const struct fab_install_options *options, char **dir_out,
	struct reason *why);

/* Entries of a folder in a home. */
unsigned count_entries(const char *home, const char *below);

/* Same files with the same bytes in both directories? */
bool same_trees(const char *a, const char *b);

#endif
