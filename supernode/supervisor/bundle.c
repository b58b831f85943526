#include "supernode/supervisor/bundle.h"

#include "common/base/cleanup.h"
#include "common/base/sha256.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct bundle {
	struct job job;
	uint64_t run_id;
	char hash[SHA256_HEX_BYTES];
	const struct trusted *trusted;
	struct slices content;
	struct value_map verifications;
	struct manifest manifest;
	struct reason why;
	int result;
	bundle_fn *done;
	void *arg;
};

static void bundle_free(struct bundle *bundle)
{
	slices_done(&bundle->content);
	value_map_done(&bundle->verifications);
	manifest_done(&bundle->manifest);
	free(bundle);
}

static int check_signature(struct bundle *bundle)
{
	unsigned char sum[SHA256_BYTES];

	int r = sha256_from_hex(bundle->hash, sum);

	return r ? r : trusted_check(bundle->trusted, sum, &bundle->verifications, &bundle->why);
}

static void bundle_run(struct job *job)
{
	struct bundle *bundle = container_of(job, struct bundle, job);
	const struct fab_limits limits = fab_limits_default();

	bundle->result = fab_check_hash(&bundle->content, bundle->hash, &limits, &bundle->why);
	if (bundle->result == 0 && bundle->trusted)
		bundle->result = check_signature(bundle);
	if (bundle->result == 0)
		bundle->result =
			fab_read_manifest(&bundle->content, &bundle->manifest, &bundle->why);
	if (bundle->result && !bundle->why.text[0])
		reason_set(&bundle->why, "the FAB cannot be read: %s", strerror(-bundle->result));
}

static void bundle_done(struct job *job)
{
	struct bundle *bundle = container_of(job, struct bundle, job);

	bundle->done(bundle->arg, bundle->run_id, &bundle->content, &bundle->manifest,
		bundle->result ? bundle->why.text : NULL);
	bundle_free(bundle);
}

int bundle_check(struct loop *loop, const struct trusted *trusted, uint64_t run_id,
	const char *hash, struct slices *content, struct value_map *verifications, bundle_fn *done,
	void *arg)
{
	struct bundle *bundle = calloc(1, sizeof *bundle);
	int r;

	if (!bundle) {
		slices_done(content);
		return -ENOMEM;
	}
	bundle->job = (struct job){.run = bundle_run, .done = bundle_done};
	bundle->trusted = trusted;
	bundle->run_id = run_id;
	bundle->verifications = *verifications;
	*verifications = (struct value_map){0};
	snprintf(bundle->hash, sizeof bundle->hash, "%s", hash);
	bundle->done = done;
	bundle->arg = arg;
	r = slices_move(&bundle->content, content);
	if (r == 0)
		r = loop_job(loop, &bundle->job);
	if (r) {
		slices_done(content);
		bundle_free(bundle);
	}
	return r;
}
