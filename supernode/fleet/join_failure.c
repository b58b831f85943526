/*
 * join_failure: what follows when a step of joining fails: another try, a wait, or the end; and
 * what a person is told.
 */
#include "common/base/clock.h"
#include "supernode/fleet/join_internal.h"

#include <stdio.h>
#include <string.h>

/* Between tries when a peer's words are waited out, and between lines about it. */
#define SLOW_MS        50000
#define SLOW_VARIES_MS 20000
#define SLOW_LINE_MS   (3600 * 1000)

#define CODE_KEY_IN_USE 23 /* Flower's number */

/* The words of SuperLinks to 1.22 about a key whose node still counts as registered. */
#define KEY_TAKEN "Public key already in use"

static const char *method_of(const struct join *join)
{
	return join_calls[join->step].method;
}

/* ---- what follows ---- */

static void give_up(struct join *join, const char *what, const struct transport_result *result)
{
	join->options.ops->gave_up(join->options.arg,
		&(struct link_cause){
			.method = what, .result = result, .retry = &join->tries.retry});
}

void join_failed(struct join *join, const char *what, const struct transport_result *result)
{
	int64_t next_ms;

	join->step = JOIN_FIND;
	join->refused_ms = -1;
	link_first_transport(join->link);
	next_ms = tries_failed(join->link, &join->tries, false, what, result);
	if (next_ms == CLOCK_NEVER)
		give_up(join, what, result);
	else
		timer_set(join->timer, next_ms);
}

/*
 * A refusal may end by itself, or come from another peer: a proxy, a portal, a SuperLink that is
 * being set up. It is waited out: the next try is a minute later, the log says it once an hour.
 * kind tells one sentence from another one, whatever numbers and peer's words are in it: those may
 * change with each try.
 */
static void wait_out(struct join *join, const char *what, const struct transport_result *result,
	const char *kind, const char *sentence)
{
	const struct retry_policy *policy = &link_options(join->link)->retry;
	struct retry *retry = &join->tries.retry;
	int64_t now_ms = clock_now_ms();
	int64_t next_ms = retry_next(retry, policy, now_ms, link_random01(join->link));
	int64_t slow_ms = clock_after(
		now_ms, SLOW_MS + (int64_t)(SLOW_VARIES_MS * link_random01(join->link)));
	struct reason said;

	join->step = JOIN_FIND;
	if (next_ms == CLOCK_NEVER) {
		give_up(join, what, result);
		return;
	}
	/* The last try is made at the very end of the time that was allowed. */
	if (policy->max_wait_ms >= 0 && slow_ms > retry->first_ms + policy->max_wait_ms)
		slow_ms = retry->first_ms + policy->max_wait_ms;
	reason_set(&said, "%s %s %s", what, outcome_name(result->outcome), kind);
	if (strcmp(said.text, join->slow_said.text) != 0 ||
		now_ms - join->slow_said_ms >= SLOW_LINE_MS) {
		join->slow_said = said;
		join->slow_said_ms = now_ms;
		log_error(link_options(join->link)->log, "%s; trying again each minute", sentence);
	}
	timer_set(join->timer, slow_ms > next_ms ? slow_ms : next_ms);
}

/* The node's key, or its clock. A node that was online waits; before, its operator is told at once.
 */
static void key_refused(struct join *join, const struct transport_result *result,
	const char *format, ...) __attribute__((format(printf, 3, 4)));
static void key_refused(
	struct join *join, const struct transport_result *result, const char *format, ...)
{
	struct reason sentence = {0};
	va_list args;

	va_start(args, format);
	vsnprintf(sentence.text, sizeof sentence.text, format, args);
	va_end(args);
	if (join_was_online(join))
		wait_out(join, method_of(join), result, format, sentence.text);
	else
		join->options.ops->refused(join->options.arg, FLEET_OVER_KEY, sentence.text);
}

static void join_find_again(struct join *join)
{
	join->step = JOIN_FIND;
	timer_set(join->timer, clock_now_ms());
}

/*
 * The address may be the wrong one of two; a node that was online knows that there was a
 * SuperLink, and that something else stands in its place for a while: a proxy, say.
 */
void join_found_wrong(struct join *join, const char *what, const struct transport_result *result,
	const char *sentence)
{
	if (join_was_online(join)) {
		join_failed(join, what, result);
	} else if (link_next_address(join->link)) {
		join_find_again(join);
	} else {
		wait_out(join, what, result,
			result->outcome == OUTCOME_UNIMPLEMENTED ? "" : sentence, sentence);
	}
}

/*
 * A SuperLink refuses to activate a key that it does not know and one whose node has not said
 * goodbye in the same words. The second ends by itself.
 */
static void activation_refused(struct join *join, const struct transport_result *result)
{
	int64_t now_ms = clock_now_ms();
	char cause[LINK_CAUSE_BYTES];

	if (!join->has_key) {
		join_failed(join, "ActivateNode", result); /* the next try has another key */
		return;
	}
	link_cause(result, cause);
	if (join->refused_ms < 0) {
		join->refused_ms = now_ms;
		log_warn(link_options(join->link)->log,
			"SuperLink %s: does not activate this node's key: either its last node still counts as online there, which ends by itself, or the key is not registered: trying for up to %d s (%s)",
			link_address(join->link), JOIN_ONLINE_MS / 1000, cause);
	}
	if (now_ms - join->refused_ms >= JOIN_ONLINE_MS) {
		key_refused(join, result,
			"SuperLink %s does not activate this node's key: register its public key there (flwr supernode register), or stop the other SuperNode that uses it: %s",
			link_address(join->link), cause);
		return;
	}
	timer_set(join->timer,
		clock_after(now_ms,
			RETRY_FIRST_MS + (int64_t)(RETRY_FIRST_MS * link_random01(join->link))));
}

/* ---- what a step ended with ---- */

/* The signature was not accepted. SuperLinks to 1.39 say why, later ones tell their clock. */
static void signature_refused(struct join *join, const struct transport_result *result)
{
	const char *address = link_address(join->link);
	char cause[LINK_CAUSE_BYTES], clock[LINK_CLOCK_BYTES];

	link_cause(result, cause);
	link_clock_hint(join->link, result, clock);
	if (clock[0])
		key_refused(join, result,
			"SuperLink %s does not accept the time that this node has signed%s: %s",
			address, clock, cause);
	else if (strcmp(result->details, JOIN_NO_KEY) == 0)
		key_refused(join, result,
			"SuperLink %s takes the keys of its list only: have the public key added there (flower-superlink --auth-list-public-keys)%s: %s",
			address,
			join->has_key ? ", or give the key that is in it"
				      : " and give its private key (--auth-supernode-private-key)",
			cause);
	else if (strcmp(result->details, KEY_TAKEN) == 0)
		key_refused(join, result,
			"SuperLink %s still has the last node of this key, which did not say goodbye, and only a restart of the SuperLink ends it; its number was not kept here (--state-dir): %s",
			address, cause);
	else if (join->step == JOIN_CREATE)
		key_refused(join, result,
			"SuperLink %s does not take this node's key: it is not in its list of keys, or its last node is still registered there, whose number was not kept here (--state-dir), and which only a restart of the SuperLink ends; or the clocks differ by over 10 s: %s",
			address, cause);
	else
		key_refused(join, result,
			"SuperLink %s does not accept this node's signature: the key is not the one that is registered there, or the clocks differ: %s",
			address, cause);
}

/* A step ended with an outcome that is final. */
static void step_refused(struct join *join, const struct transport_result *result)
{
	char cause[LINK_CAUSE_BYTES];
	struct reason sentence;

	link_cause(result, cause);
	if (result->outcome == OUTCOME_UNIMPLEMENTED) {
		reason_set(&sentence,
			"%s is no SuperLink of Flower 1.15 or later, or not its Fleet API: %s",
			link_address(join->link), cause);
		join_found_wrong(join, method_of(join), result, sentence.text);
	} else if (result->outcome == OUTCOME_UNAUTHENTICATED) {
		signature_refused(join, result);
	} else if (join->step == JOIN_REGISTER && result->outcome == OUTCOME_FAILED_PRECONDITION) {
		key_refused(join, result,
			"SuperLink %s takes registered keys only: have the public key registered (flwr supernode register) and give its private key (--auth-supernode-private-key): %s",
			link_address(join->link), cause);
	} else {
		reason_set(&sentence, "SuperLink %s refused %s: %s", link_address(join->link),
			method_of(join), cause);
		join->options.ops->refused(join->options.arg, FLEET_OVER_REFUSED, sentence.text);
	}
}

void join_step_failed(struct join *join, const struct transport_result *result)
{
	bool unauthenticated = result->outcome == OUTCOME_UNAUTHENTICATED;
	bool operator_key = join->has_key;
	bool again = retry_again(result->outcome, false);

	/* A node that was online does not end for what the SuperLink says now. */
	if (join_was_online(join) && !(operator_key && unauthenticated))
		again = true;
	/* A key of our own that is not taken, or is there already because the call came through
	 * twice: the next try has another one. But none that we make is in a list. */
	if (!operator_key && (unauthenticated || result->code == CODE_KEY_IN_USE))
		again = strcmp(result->details, JOIN_NO_KEY) != 0;
	if (result->outcome == OUTCOME_UNIMPLEMENTED && link_next_transport(join->link))
		join_find_again(join);
	else if (join->step == JOIN_ACTIVATE && result->outcome == OUTCOME_FAILED_PRECONDITION)
		activation_refused(join, result);
	else if (again)
		join_failed(join, method_of(join), result);
	else
		step_refused(join, result);
}
