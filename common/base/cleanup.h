/*
 * cleanup: scope-bound release of descriptors and memory, and the hand-over that ends it.
 * Any thread; knows nothing about what it frees.
 */
#ifndef FLWR_BASE_CLEANUP_H
#define FLWR_BASE_CLEANUP_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* auto_(f) T x = ...;  calls f(&x) when x leaves its scope. */
#define auto_(function) __attribute__((cleanup(function)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The object of type type whose member member is at ptr. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* pointer is the address of a pointer of any type; by memcpy(), since it is no void * in memory. */
static inline void free_at_exit(void *pointer)
{
	void *memory, *none = NULL;

	memcpy(&memory, pointer, sizeof memory);
	free(memory);
	memcpy(pointer, &none, sizeof none);
}

static inline void close_at_exit(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclose_at_exit(FILE **file)
{
	if (*file)
		fclose(*file);
	*file = NULL;
}

static inline void closedir_at_exit(DIR **dir)
{
	if (*dir)
		closedir(*dir);
	*dir = NULL;
}

/* Ownership of the descriptor moves to the caller; *fd is -1 afterwards. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Ownership of the memory moves to the caller; the pointer at pointer is NULL afterwards. */
static inline void *take_pointer(void *pointer)
{
	void *taken, *none = NULL;

	memcpy(&taken, pointer, sizeof taken);
	memcpy(pointer, &none, sizeof none);
	return taken;
}

/* Close *fd if there is one; *fd is -1 afterwards. */
static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#endif
