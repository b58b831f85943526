/*
 * The sandbox remembers of runs whether they had a message before, and what their apps were
 * refused, so that the log has that once a run. The memory is fixed; the oldest is forgotten.
 */
#include "common/launch/sandbox_internal.h"

#include <string.h>

/* The bridge (clientapp/run/bridge/cage.py, tell_refusal()) begins its lines so; the kind of the
 * cage stands between. */
#define REFUSAL_START "--sandbox "
#define REFUSAL_WORDS ": the app was refused something: "

static struct sandbox_run *run_find(struct sandbox *sandbox, uint64_t run_id)
{
	for (size_t i = 0; i < SANDBOX_RUNS_MAX; i++)
		if (sandbox->seen[i].id == run_id)
			return &sandbox->seen[i];
	return NULL;
}

bool sandbox_run_is_new(struct sandbox *sandbox, uint64_t run_id)
{
	/* Id 0 stands for a run that is not known. */
	if (!run_id || run_find(sandbox, run_id))
		return false;
	sandbox->seen[sandbox->run_at] = (struct sandbox_run){.id = run_id};
	sandbox->run_at = (sandbox->run_at + 1) % SANDBOX_RUNS_MAX;
	return true;
}

void sandbox_run_ended(struct sandbox *sandbox, uint64_t run_id)
{
	struct sandbox_run *run = sandbox && run_id ? run_find(sandbox, run_id) : NULL;

	if (run)
		*run = (struct sandbox_run){.id = 0};
	if (sandbox && sandbox->runs)
		sandbox_strict_run_ended(sandbox, run_id);
}

static bool is_refusal(const char *line, size_t len)
{
	size_t start = strlen(REFUSAL_START);

	return len > start && memcmp(line, REFUSAL_START, start) == 0 &&
	       memmem(line + start, len - start, REFUSAL_WORDS, strlen(REFUSAL_WORDS));
}

/* FNV-1a; never 0. An app that finds another line with the same hash hides its own line. */
static uint64_t hash_of(const char *line, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)line[i]) * 0x100000001b3;
	return hash ? hash : 1;
}

bool sandbox_repeats(void *arg, uint64_t run_id, const char *line, size_t len)
{
	struct sandbox_run *run = run_id && is_refusal(line, len) ? run_find(arg, run_id) : NULL;
	uint64_t hash;

	if (!run)
		return false;
	hash = hash_of(line, len);
	for (size_t i = 0; i < SANDBOX_SAID_MAX; i++)
		if (run->said[i] == hash)
			return true;
	run->said[run->said_at] = hash;
	run->said_at = (run->said_at + 1) % SANDBOX_SAID_MAX;
	return false;
}
