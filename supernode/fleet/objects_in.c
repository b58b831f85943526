/*
 * objects_in: the objects of one message, on their way here: several at a time, each tried again by
 * itself. Each is checked when it comes (object_set_put()); what has come stays, whatever becomes
 * of the others.
 *
 * An object's size is not known before it is here. So each is asked for with a bound of its answer,
 * for which there is room in the memory budget: first that of a piece of an array as SuperLinks of
 * this dialect have it, and the largest that has come; one that is larger is asked for once more,
 * alone, with the largest bound that there is.
 */
#include "supernode/fleet/contents_objects.h"

#include "common/base/cleanup.h"
#include "common/base/clock.h"
#include "common/message/object_calls_codec.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DOWNLOAD_SLOTS       8
#define DOWNLOAD_BYTES       (32 << 20)    /* on their way at a time */
#define DOWNLOAD_MIN_BYTES   (1 << 20)     /* of the budget, for one object */
#define DOWNLOAD_HEAD_BYTES  (64 << 10)    /* around an object, and of its head */
#define DOWNLOAD_BAD_TRIES   3             /* of an object that is not what it is called */
#define DOWNLOAD_WAIT_MS     100           /* for one that the SuperLink does not have yet ... */
#define DOWNLOAD_WAIT_MAX    10000         /* ... doubled to this ... */
#define DOWNLOAD_PATIENCE_MS (7200 * 1000) /* ... in all */

/* The words of Flower 1.25, as UNKNOWN, about an object that is not there yet: it counts the bytes
 * of the answer, and stumbles over none. */
#define NOT_YET "Both bytes_sent and bytes_recv cannot be zero"

/* An object on its way, or a place for one. */
struct fetch {
	struct call call;
	struct object_pulled pulled; /* the answer, taken apart ... */
	int pulled_result;           /* ... if that is 0 */
	struct download *download;
	size_t index;
	bool busy;
	uint64_t bound;    /* of the answer */
	bool cut;          /* bound is what was left of the budget */
	uint64_t reserved; /* in the budget */
	int bad;           /* so often it was not what it is called */
	int64_t first_ms;  /* when it was asked for first */
	int64_t wait_ms;
};

struct download {
	LIST_ENTRY(download) link;
	struct fleet *fleet;
	uint64_t number; /* the owner's of the message */
	uint64_t run_id;
	struct object_set *set;
	size_t next; /* what was not asked for yet */
	/* Objects that were larger than their bound and are asked for again; at most one for
	 * each slot. */
	size_t again[DOWNLOAD_SLOTS];
	unsigned n_again;
	unsigned busy;
	uint64_t largest;   /* an object may be, as far as is known */
	uint64_t bytes_max; /* of all objects */
	bool over;          /* no more is asked for ... */
	bool over_budget;   /* ... for that reason */
	enum outcome outcome;
	struct reason why;
	struct timer *go;
	struct fetch fetches[DOWNLOAD_SLOTS];
};

static void download_free(struct download *download)
{
	if (!download)
		return;
	for (size_t i = 0; i < DOWNLOAD_SLOTS; i++)
		call_done(&download->fetches[i].call);
	timer_free(download->go);
	object_set_unref(download->set);
	free(download);
}

static void confirmed(struct call *call, struct transport_result *result)
{
	(void)result;
	download_free(container_of(call, struct fetch, call)->download);
}

static const struct call_kind confirm_received = {
	.method = "ConfirmMessageReceived",
	.timeout_ms = CALL_TIMEOUT_MS,
	.odd_tries = CALL_ODD_TRIES,
	.done = confirmed,
};

/* The SuperLink need not keep the objects any more. The download is freed after that. */
static void confirm_and_free(struct download *download)
{
	const struct object_tree *tree = object_set_tree(download->set);
	struct object_request request = {.node_id = download->fleet->node.node_id,
		.run_id = download->run_id,
		.id = tree->v[tree->n - 1].id};
	auto_(slices_done) struct slices body = {0};

	if (object_request_encode(&request, &body)) {
		download_free(download);
		return;
	}
	object_set_unref(download->set);
	download->set = NULL;
	download->fetches[0].call.answer_max_bytes = 0;
	call_start(&download->fetches[0].call, &confirm_received, &body);
}

static void download_end(struct download *download)
{
	struct fleet *fleet = download->fleet;

	LIST_REMOVE(download, link);
	if (download->outcome != OUTCOME_CANCELLED && download->over_budget)
		fleet->options.ops->over_budget(
			fleet->options.arg, download->number, download->why.text);
	else if (download->outcome != OUTCOME_CANCELLED)
		fleet_content(fleet, download->number, download->outcome, download->why.text);
	confirm_and_free(download);
	fleet_look_idle(fleet);
}

/* No more of it: the first reason counts. */
static void download_fail(struct download *download, enum outcome outcome, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void download_fail(struct download *download, enum outcome outcome, const char *format, ...)
{
	va_list args;

	if (download->over)
		return;
	download->over = true;
	download->outcome = outcome;
	va_start(args, format);
	vsnprintf(download->why.text, sizeof download->why.text, format, args);
	va_end(args);
	for (size_t i = 0; i < DOWNLOAD_SLOTS; i++)
		call_hurry(&download->fetches[i].call);
}

/* ---- the budget ---- */

/* The outcome of a download that ends for want of room, unless it has ended before. */
static enum outcome over_budget(struct download *download)
{
	download->over_budget = download->over_budget || !download->over;
	return OUTCOME_RESOURCE_EXHAUSTED;
}

/* Objects may lie in files, which are larger than the memory: but workers of ours refuse a message
 * that is over the budget when all of it is there. */
static void look_at_sum(struct download *download)
{
	uint64_t limit_bytes;

	if (object_set_bytes(download->set) <= download->bytes_max)
		return;
	limit_bytes = download->fleet->options.budget->limit_bytes;
	download_fail(download, over_budget(download),
		"the message takes more than %" PRIu64
		" bytes when its arrays are written out for the app, and the memory budget is %" PRIu64
		" bytes",
		limit_bytes, limit_bytes);
}

/* The bound of the next answer. */
static uint64_t next_bound(const struct download *download)
{
	uint64_t bytes = download->largest + DOWNLOAD_HEAD_BYTES;

	return download->n_again || bytes > FLEET_OBJECT_ANSWER_BYTES ? FLEET_OBJECT_ANSWER_BYTES
								      : bytes;
}

static void release(struct fetch *fetch)
{
	struct budget *budget = fetch->download->fleet->options.budget;

	if (budget)
		budget_release(budget, fetch->reserved);
	fetch->reserved = 0;
}

/* Does no other object of the message have room that was reserved for it? */
static bool is_alone(const struct fetch *fetch)
{
	const struct download *download = fetch->download;

	for (size_t i = 0; i < DOWNLOAD_SLOTS; i++)
		if (&download->fetches[i] != fetch && download->fetches[i].reserved)
			return false;
	return true;
}

/*
 * Room for the fetch's object; one that is alone may have what there is. A quarter of what is
 * left stays for the message's run, FAB and reply. False: there is no room.
 */
static bool reserve(struct fetch *fetch)
{
	struct budget *budget = fetch->download->fleet->options.budget;
	uint64_t bytes = next_bound(fetch->download);
	uint64_t left = bytes;

	if (budget) {
		left = budget->limit_bytes > budget->used_bytes
			       ? budget->limit_bytes - budget->used_bytes
			       : 0;
		left -= left / 4;
	}
	fetch->cut = left < bytes && left >= DOWNLOAD_MIN_BYTES && is_alone(fetch);
	if (fetch->cut)
		bytes = left;
	if (bytes > left || (budget && budget_reserve(budget, bytes) < 0))
		return false;
	fetch->bound = fetch->reserved = bytes;
	return true;
}

/* Go on, from the loop. */
static void fetch_over(struct fetch *fetch)
{
	tries_left(fetch->call.link, &fetch->call.tries); /* after CALL_NOT_NOW */
	release(fetch);
	fetch->busy = false;
	fetch->download->busy--;
	timer_set(fetch->download->go, 0);
}

/* At once, or at a time: fetch_prepare() is next. */
static void fetch_start_at(struct fetch *fetch, int64_t at_ms);

static void put_done(void *arg, size_t index, int r, const struct reason *why)
{
	struct fetch *fetch = arg;
	struct download *download = fetch->download;

	(void)index;
	if (r == -EBADMSG && !download->over && ++fetch->bad < DOWNLOAD_BAD_TRIES) {
		log_warn(download->fleet->log,
			"SuperLink %s: an object is not what it is called: %s; asking again",
			link_address(download->fleet->link), why->text);
		fetch_start_at(fetch, 0);
		return;
	}
	if (r)
		download_fail(download, OUTCOME_INTERNAL,
			r == -EBADMSG ? "an object of the message is broken at the SuperLink: %s"
				      : "an object of the message could not be kept: %s",
			why->text);
	else
		look_at_sum(download);
	fetch_over(fetch);
}

/* The SuperLink knows the object, but its maker has not sent it yet; or there is no room for it. */
static int fetch_later(struct fetch *fetch)
{
	struct download *download = fetch->download;
	int64_t now_ms = clock_now_ms();

	if (now_ms - fetch->first_ms > DOWNLOAD_PATIENCE_MS) {
		download_fail(download, OUTCOME_NOT_FOUND,
			"an object of the message did not reach the SuperLink within two hours");
		fetch_over(fetch);
		return CALL_NOT_NOW;
	}
	release(fetch);
	timer_set(download->go, 0); /* another object may have its room */
	fetch_start_at(fetch, clock_after(now_ms, pace_double(&fetch->wait_ms, DOWNLOAD_WAIT_MS,
							  DOWNLOAD_WAIT_MAX)));
	return CALL_LATER;
}

static int fetch_prepare(struct call *call)
{
	struct fetch *fetch = container_of(call, struct fetch, call);
	struct download *download = fetch->download;
	struct object_request request = {.node_id = download->fleet->node.node_id,
		.run_id = download->run_id,
		.id = object_set_tree(download->set)->v[fetch->index].id};

	if (download->over) {
		fetch_over(fetch);
		return CALL_NOT_NOW;
	}
	if (!fetch->reserved && !reserve(fetch))
		return fetch_later(fetch);
	call->answer_max_bytes = fetch->bound;
	return call->request.bytes ? 0 : object_request_encode(&request, &call->request);
}

static bool is_not_yet(const struct transport_result *result, const struct object_pulled *pulled)
{
	if (result->outcome == OUTCOME_OK)
		return pulled->found && !pulled->available;
	return result->outcome == OUTCOME_UNKNOWN && strstr(result->details, NOT_YET);
}

/* Larger than its bound: it is asked for again, with the largest one. False: it had that, or there
 * is no more room. */
static bool fetch_larger(struct fetch *fetch)
{
	struct download *download = fetch->download;

	if (fetch->cut || fetch->bound == FLEET_OBJECT_ANSWER_BYTES)
		return false;
	download->again[download->n_again++] = fetch->index;
	return true;
}

static void digest(struct call *call, const struct slices *body)
{
	struct fetch *fetch = container_of(call, struct fetch, call);

	fetch->pulled_result = object_pulled_decode(body, &fetch->pulled);
}

static void fetched(struct call *call, struct transport_result *result)
{
	struct fetch *fetch = container_of(call, struct fetch, call);
	auto_(object_pulled_done) struct object_pulled pulled = fetch->pulled;
	struct download *download = fetch->download;
	char cause[LINK_CAUSE_BYTES];
	int r = fetch->pulled_result;

	fetch->pulled = (struct object_pulled){0};
	fetch->pulled_result = 0;
	if (result->outcome == OUTCOME_OK && r)
		call_unreadable(result, r);
	link_cause(result, cause);
	slices_done(&result->body);
	if (is_not_yet(result, &pulled) && !download->over) {
		fetch_later(fetch);
		return;
	}
	if (result->too_large && !download->over && fetch_larger(fetch)) {
		fetch_over(fetch);
		return;
	}
	if (result->too_large && fetch->cut)
		download_fail(download, over_budget(download),
			"an object of the message is larger than the %" PRIu64
			" bytes that are left for it in the SuperNode's memory budget",
			fetch->bound);
	else if (result->outcome != OUTCOME_OK)
		download_fail(download, result->outcome,
			"an object of the message did not come: %s", cause);
	else if (!pulled.found)
		download_fail(download, OUTCOME_NOT_FOUND,
			"the SuperLink has lost an object of the message");
	if (download->over) {
		fetch_over(fetch);
		return;
	}
	if (pulled.content.bytes > download->largest)
		download->largest = pulled.content.bytes;
	r = object_set_put(download->set, fetch->index, &pulled.content, put_done, fetch);
	if (r) {
		download_fail(download, OUTCOME_RESOURCE_EXHAUSTED,
			"the SuperNode has no memory for an object of the message");
		fetch_over(fetch);
	}
}

static const struct call_kind pull_object = {
	.method = "PullObject",
	.what = "an object",
	.answer_max_bytes = FLEET_OBJECT_ANSWER_BYTES,
	.odd_tries = CALL_ODD_TRIES,
	.final = NOT_YET,
	.prepare = fetch_prepare,
	.digest = digest,
	.done = fetched,
};

static void fetch_start_at(struct fetch *fetch, int64_t at_ms)
{
	call_start_at(&fetch->call, &pull_object, at_ms);
}

/* May one more be on its way? */
static bool has_room(const struct download *download)
{
	uint64_t each = next_bound(download) - DOWNLOAD_HEAD_BYTES;

	return download->busy == 0 ||
	       (download->busy < DOWNLOAD_SLOTS && (download->busy + 1) * each <= DOWNLOAD_BYTES);
}

static struct fetch *free_fetch(struct download *download)
{
	struct fetch *fetch = download->fetches;

	while (fetch->busy)
		fetch++;
	return fetch;
}

/* Is there one more to be asked for? It is not begun yet. */
static bool next_index(struct download *download, size_t *out)
{
	size_t n = object_set_tree(download->set)->n;

	while (download->next < n && object_set_has(download->set, download->next))
		download->next++;
	*out = download->n_again ? download->again[download->n_again - 1] : download->next;
	return *out < n;
}

static void download_go_on(void *arg)
{
	struct download *download = arg;
	size_t index;

	while (!download->over && has_room(download) && next_index(download, &index)) {
		struct fetch *fetch = free_fetch(download);

		if (!reserve(fetch)) {
			if (download->busy == 0)
				download_fail(download, over_budget(download),
					"there is no room in the SuperNode's memory budget for an object of the message");
			break;
		}
		if (download->n_again)
			download->n_again--;
		else
			download->next++;
		fetch->index = index;
		fetch->busy = true;
		fetch->bad = 0;
		fetch->wait_ms = 0;
		fetch->first_ms = clock_now_ms();
		download->busy++;
		fetch_start_at(fetch, 0);
	}
	if (download->busy == 0 && (download->over || !next_index(download, &index)))
		download_end(download);
}

int download_start(struct fleet *fleet, uint64_t number, uint64_t run_id, struct object_set *set)
{
	struct download *download = calloc(1, sizeof *download);
	bool made = download != NULL;

	if (!made)
		return -ENOMEM;
	download->go = timer_new(link_options(fleet->link)->loop, download_go_on, download);
	for (size_t i = 0; i < DOWNLOAD_SLOTS; i++) {
		struct fetch *fetch = &download->fetches[i];

		made = call_init(&fetch->call, fleet->link) == 0 && made;
		fetch->download = download;
	}
	if (!made || !download->go) {
		download_free(download);
		return -ENOMEM;
	}
	download->fleet = fleet;
	download->number = number;
	download->run_id = run_id;
	download->set = object_set_ref(set);
	download->largest = fleet->node.dialect->object_bytes;
	download->bytes_max = UINT64_MAX;
	if (fleet->options.own_workers && fleet->options.budget)
		download->bytes_max = object_tree_bytes_max(
			object_set_tree(set), fleet->options.budget->limit_bytes);
	LIST_INSERT_HEAD(&fleet->downloads, download, link);
	timer_set(download->go, 0);
	/* The owner may have answered the message when it was handed over. */
	if (fleet->dropped == number)
		download_cancel(fleet, number);
	return 0;
}

void download_cancel(struct fleet *fleet, uint64_t number)
{
	struct download *download;

	LIST_FOREACH(download, &fleet->downloads, link)
	{
		if (number && download->number != number)
			continue;
		download_fail(download, OUTCOME_CANCELLED, "%s", "");
		download->outcome = OUTCOME_CANCELLED; /* also of one that had failed */
		timer_set(download->go, 0);
	}
}
