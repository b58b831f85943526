/*
 * flwr-read-manifest: reads pyproject.toml out of a bundle, away from the process that holds the
 * node's key: anybody may have made the bundle, and the libraries that unpack and parse it are
 * large. Started by the SuperNode with a socket as descriptor PROCESS_FD, over which one message
 * with the descriptor of the bundle comes; the answer (manifest_form.h) goes back.
 *
 * Exit status: 0 there is an answer (a refusal is one), 1 there is none.
 */
#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/fab/manifest_form.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOCKET_FD    3 /* PROCESS_FD of common/launch/process.h */
#define MEMORY_BYTES (512ULL << 20)
#define CPU_S        10

/* Limit what the program may use, whatever the bundle makes of it. */
static int limit(void)
{
	static const struct {
		int resource;
		rlim_t value;
	} limits[] = {
#ifndef FLWR_SANITIZED /* whose shadow memory is a few terabytes */
		{RLIMIT_AS, MEMORY_BYTES},
#endif
		{RLIMIT_CPU, CPU_S},
		{RLIMIT_CORE, 0},
		{RLIMIT_FSIZE, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		/* Beyond its soft limit of time it is told so, by SIGXCPU. */
		const struct rlimit wanted = {
			limits[i].value, limits[i].value + (limits[i].resource == RLIMIT_CPU)};
		struct rlimit now;

		if (getrlimit(limits[i].resource, &now) < 0)
			return -errno;
		/* A lower one that is there stays. */
		if (now.rlim_max < wanted.rlim_max)
			continue;
		if (setrlimit(limits[i].resource, &wanted) < 0)
			return -errno;
	}
	/* No app of this user may answer in its place. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return -errno;
	return 0;
}

/* The descriptor that comes over the socket, or -errno. */
static int receive(void)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = {.bytes = {0}};
	char byte;
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = space.bytes,
		.msg_controllen = sizeof space.bytes};
	ssize_t n;
	int fd;

	do
		n = recvmsg(SOCKET_FD, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	const struct cmsghdr *with = n == 1 ? CMSG_FIRSTHDR(&message) : NULL;

	if (!with || with->cmsg_level != SOL_SOCKET || with->cmsg_type != SCM_RIGHTS)
		return n < 0 ? -errno : -EBADMSG;
	memcpy(&fd, CMSG_DATA(with), sizeof fd);
	return fd;
}

/* The bundle's manifest, or what is wrong with it, in the form of an answer. */
static int answer(int fd, struct text *out)
{
	auto_(slices_done) struct slices content = {0};
	auto_(manifest_done) struct manifest manifest = {0};
	struct reason why = {0};
	struct slice slice;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : slice_map(fd, (size_t)st.st_size, &slice);

	if (r == 0)
		r = slices_append(&content, slice);
	if (r == 0)
		r = fab_read_manifest(&content, &manifest, &why);
	if (r == -ENOMEM)
		reason_set(&why,
			"reading the FAB's pyproject.toml takes more than %llu MiB of memory",
			MEMORY_BYTES >> 20);
	else if (r < 0 && r != -EBADMSG && r != -ELIBACC)
		return r;
	return manifest_form_write(&manifest, r < 0 ? why.text : NULL, out);
}

int main(void)
{
	auto_(close_at_exit) int fd = -1;
	auto_(text_done) struct text text = {0};
	int r = limit();

	if (r == 0)
		r = fd = receive();
	if (r >= 0)
		r = answer(fd, &text);
	if (r == 0)
		r = fd_write_all(SOCKET_FD, text.data, text.len);
	if (r == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "flwr-read-manifest: %s\n", strerror(-r));
	return EXIT_FAILURE;
}
