/*
 * Random schedules in all dialects: whatever happens, every call ends once and nothing is left.
 */
#include "fleet.pb-c.h"
#include "sample.h"

static struct sample sample;
static unsigned registered, lost, messages, contents, over; /* of all lives */

static const struct held_message reply = {.envelope = {
						  .metadata = RIG_REPLY_METADATA,
						  .has_error = true,
						  .error_code = 2,
						  .error_reason = (char *)"it raised",
					  }};

static uint32_t chance(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 8) % below;
}

static int begin(struct rig *rig, uint32_t *seed)
{
	switch (chance(seed, 3)) {
	case 0:
		return fleet_get_run(rig->fleet, 7, rig_run_done, rig);
	case 1:
		return fleet_get_fab(rig->fleet, 7, "abc", rig_fab_done, rig);
	default:
		return rig_push(rig, 5, &reply, 0.5);
	}
}

static void answer_push(struct rig *rig, uint32_t *seed)
{
	Flwr__PushMessagesResponse response = FLWR__PUSH_MESSAGES_RESPONSE__INIT;
	char text[OBJECT_ID_TEXT_BYTES];

	if (chance(seed, 3)) {
		rig_answer_push(rig, chance(seed, 5) ? "3c2e" : "None");
		return;
	}
	object_id_format(&sample.ids[0], text);
	response.n_objects_to_push = 1;
	response.objects_to_push = &(char *){text};
	rig_answer_with(rig, "PushMessages", &response);
}

static void answer_pull(struct rig *rig, uint32_t *seed)
{
	switch (chance(seed, 4)) {
	case 0:
		rig_answer_pull(rig, chance(seed, 3) ? "train" : "reconnect", NULL);
		break;
	case 1:
		rig_answer_pull_empty(rig);
		break;
	default:
		rig_answer_pull_tree(rig, chance(seed, 8) ? &sample.tree : NULL);
		break;
	}
}

static void answer_object(struct rig *rig, uint32_t *seed)
{
	struct rig_call *handle = rig_sent(rig, "PullObject");

	switch (chance(seed, 8)) {
	case 0:
		rig_answer_object_not_found(rig, handle);
		break;
	case 1:
		rig_answer_object(rig, handle, NULL);
		break;
	default: /* sometimes the right one */
		rig_answer_object(rig, handle, &sample.bytes[chance(seed, (uint32_t)sample.n)]);
		break;
	}
}

/* The oldest call of a method is answered as the SuperLink might; another one as it should not. */
static void answer_any(struct rig *rig, uint32_t *seed)
{
	struct rig_call *handle = rig->out;
	enum outcome outcome = OUTCOME_UNAVAILABLE;
	bool first;

	for (uint32_t skip = chance(seed, 3); skip > 0 && handle && handle->next; skip--)
		handle = handle->next;
	if (!handle)
		return;
	if (chance(seed, 6) == 0)
		outcome = (enum outcome)chance(seed, OUTCOME_N);
	first = handle == rig_sent(rig, handle->method);
	if (handle->cancelled)
		rig_answer(rig, handle, OUTCOME_CANCELLED, "cancelled", NULL);
	else if (!first || chance(seed, 4) == 0)
		rig_answer(rig, handle, outcome, "by chance", NULL);
	else if (strstr(handle->method, "Ping") || strstr(handle->method, "Heartbeat"))
		rig_answer_ping(rig, chance(seed, 20) > 0);
	else if (strcmp(handle->method, "CreateNode") == 0 ||
		 strcmp(handle->method, "RegisterNode") == 0 ||
		 strcmp(handle->method, "ActivateNode") == 0)
		rig_answer_node(rig, 1 + chance(seed, 1000));
	else if (strcmp(handle->method, "PullMessages") == 0)
		answer_pull(rig, seed);
	else if (strcmp(handle->method, "PushMessages") == 0)
		answer_push(rig, seed);
	else if (strcmp(handle->method, "PullObject") == 0)
		answer_object(rig, seed);
	else
		rig_answer(rig, handle, OUTCOME_OK, "", NULL);
}

static void change_any(struct rig *rig, uint32_t *seed)
{
	static const char *const *const releases[] = {rig_lacks_a, rig_lacks_b, rig_lacks_c};

	switch (chance(seed, 8)) {
	case 0:
		rig->lacks = releases[chance(seed, ARRAY_LEN(releases))];
		break;
	case 1:
		rig->found = (enum probe_result)chance(
			seed, join_was_online(rig->fleet->join) ? PROBE_N : PROBE_WRONG);
		break;
	case 2:
		rig->hold_jobs = !rig->hold_jobs;
		break;
	case 3:
		rig_drop_content(rig);
		break;
	default:
		rig->random01 = (double)chance(seed, 1000) / 1000.0;
		rig->wants = chance(seed, 4) > 0;
		rig->push_in_message = false;
		rig->no_use = chance(seed, 8) == 0;
		fleet_poke(rig->fleet);
		break;
	}
}

static void random_life(uint32_t seed)
{
	struct retry_policy policy = {chance(&seed, 4) ? -1 : 3, chance(&seed, 4) ? -1 : 30000};
	struct auth *key = NULL;
	struct rig *rig;
	unsigned begun = 0;

	if (chance(&seed, 3) == 0)
		assert_int_equal(auth_new(&key), 0);
	rig = rig_new_with(&policy, key, NULL);
	rig->lacks = seed % 2 ? rig_lacks_c : rig_lacks_b;
	fleet_start(rig->fleet);
	for (int step = 0; step < 400; step++) {
		assert_true(rig->over <= 1);
		switch (chance(&seed, 8)) {
		case 0:
			rig->fail_calls = chance(&seed, 10) == 0;
			assert_int_equal(begin(rig, &seed), 0);
			begun++;
			break;
		case 1:
			change_any(rig, &seed);
			break;
		case 2:
			rig_pass(rig, chance(&seed, 30000));
			break;
		case 3:
			rig_pass(rig, 0);
			break;
		default:
			answer_any(rig, &seed);
			break;
		}
	}
	rig->fail_calls = 0;
	rig->hold_jobs = false;
	fleet_stop(rig->fleet, rig_stopped, rig);
	for (int step = 0; step < 100 && !rig->stopped; step++) {
		answer_any(rig, &seed);
		rig_pass(rig, chance(&seed, 500));
	}
	assert_int_equal(rig->stopped, 1);
	assert_int_equal(rig->ends, begun);
	registered += rig->registered;
	lost += rig->lost;
	messages += rig->messages;
	contents += rig->contents;
	over += rig->over;
	rig_free(rig);
}

static void random_lives_leave_nothing_behind(void **state)
{
	const char *from = getenv("FLWR_TEST_SEED");
	uint32_t first = from ? (uint32_t)strtoul(from, NULL, 10) : 0;

	sample_init(&sample, 5, 100);
	for (uint32_t seed = first; seed < first + 200; seed++) {
		if (seed % 50 == 0)
			print_message("seeds from %u\n", seed);
		random_life(seed);
	}
	sample_done(&sample);
	print_message("registered %u, lost %u, messages %u, contents %u, over %u\n", registered,
		lost, messages, contents, over);
	assert_true(registered > 200 && lost > 100 && messages > 500 && contents > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_lives_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
