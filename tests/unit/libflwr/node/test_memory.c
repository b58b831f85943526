/*
 * Each allocation fails once, while a node is made and while a client starts: the call says so,
 * ends, and nothing is lost (LeakSanitizer looks).
 */
#include "kit/failing.h"
#include "kit/test.h"
#include "libflwr/app/dict_internal.h"
#include "libflwr/node/task.h"
#include "libflwr/node/work.h"

#include <flwr/client.h>

/* A certificate and a key of nobody. */
static const char certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBdDCCARugAwIBAgIUCRGJ6VAOoIZp6GwFIP9H7vB2VIIwCgYIKoZIzj0EAwIw\n"
	"DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjgxOTM2MjZaGA8yMTI2MTEwNDE5MzYy\n"
	"NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABEMY\n"
	"9B+NuDUj4wLAqabQuPuRdyJW6t1j2BKmxNTIhVSwEGDuC971zUf3t8HDb5zPvCLp\n"
	"H4+DE68ckV3jr6Gd9WSjUzBRMB0GA1UdDgQWBBTqYPoYzC6w2Dykve45+EKny9YQ\n"
	"RzAfBgNVHSMEGDAWgBTqYPoYzC6w2Dykve45+EKny9YQRzAPBgNVHRMBAf8EBTAD\n"
	"AQH/MAoGCCqGSM49BAMCA0cAMEQCIGpdCgD3sNgq284eMSKyYNwkcS/vUFdcfke8\n"
	"j8R8YzQhAiBWs3pBJDPSzbj26KaSlJFro3/2SvvNQoCP1eOM8my0yQ==\n"
	"-----END CERTIFICATE-----\n";
static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgF713VALQlh46HIyI\n"
			  "3fkKcOymLS4PdCbZ77FNCifu7imhRANCAARDGPQfjbg1I+MCwKmm0Lj7kXciVurd\n"
			  "Y9gSpsTUyIVUsBBg7gve9c1H97fBw2+cz7wi6R+PgxOvHJFd46+hnfVk\n"
			  "-----END PRIVATE KEY-----\n";

static int fit(const struct flwr_ins *ins, struct flwr_res *res)
{
	return 0;
}

static const struct flwr_client client = {.size = sizeof client, .fit = fit};

static void take_line(int level, double time_s, const char *line, void *user)
{
	++*(int *)user;
}

static struct flwr_options options_of(const char *address, const char *transport, int *lines)
{
	return (struct flwr_options){.size = sizeof(struct flwr_options),
		.server_address = address,
		.transport = transport,
		.client = &client,
		.node_config = "partition-id=0 share=0.5 name='a b' on=true",
		.log = take_line,
		.log_user = lines,
		.log_level = FLWR_LOG_DEBUG,
		.max_retries = FLWR_NEVER};
}

static void expect_no_memory(int r)
{
	if (r != FLWR_E_MEMORY || !strstr(flwr_error(), "memory"))
		fail_msg("%s: %s", flwr_result_name(r), flwr_error());
}

/* The log lines that are lost are no failure. */
static void a_node_says_no_memory(void **state)
{
	int lines = 0;
	struct flwr_options options = options_of("https://localhost:1", "rest", &lines);
	bool failed = true;

	options.root_certificates_pem = certificate;
	options.authentication_key_pem = key;
	for (size_t n = 1; failed; n++) {
		struct flwr_node *node = NULL;
		int r;

		flwr_fail("");
		failing_at(n);
		r = flwr_node_new(&options, &node);
		failed = failing_stop();
		if (r) {
			assert_true(failed);
			assert_null(node);
			expect_no_memory(r);
		}
		flwr_node_free(node);
		assert_true(n < 1000);
	}
}

static void client_says_no_memory(const char *address, const char *transport)
{
	int lines = 0;
	const struct flwr_options options = options_of(address, transport, &lines);
	bool failed = true;

	for (size_t n = 1; failed; n++) {
		int r;

		flwr_fail("");
		failing_at(n);
		r = flwr_start_client(&options);
		failed = failing_stop();
		assert_true(r < 0);
		/* The memory may have been for a line of the log, or for a try. */
		if (r != FLWR_E_CONNECT)
			expect_no_memory(r);
		else if (!strstr(flwr_error(), "127.0.0.1:1"))
			fail_msg("%zu: %s", n, flwr_error());
		assert_true(n < 3000);
	}
}

static void a_client_of_a_server_says_no_memory(void **state)
{
	client_says_no_memory("127.0.0.1:1", "grpc-bidi");
}

static void a_client_of_a_superlink_says_no_memory(void **state)
{
	client_says_no_memory("127.0.0.1:1", "grpc-rere");
	client_says_no_memory("http://127.0.0.1:1", "rest");
}

/* ---- a message ---- */

static const int64_t three = 3;
static const float weights[] = {1, 2, 3};

static int learn(const struct flwr_ins *ins, struct flwr_res *res)
{
	double rate = 0;
	float *data;

	if (flwr_get_double(ins->config, "rate", &rate) < 0 ||
		flwr_record_copy(res->parameters, ins->parameters) != 0)
		return FLWR_FAILED;
	data = flwr_edit_data(res->parameters, "0", FLWR_FLOAT32, NULL);
	if (!data)
		return FLWR_FAILED;
	data[0] += (float)rate;
	res->num_examples = 10;
	flwr_set_int(flwr_dict_add(ins->context->state, "seen", FLWR_METRICS), "n", 1);
	return flwr_set_double(res->metrics, "loss", 0.5);
}

/* The question of a fit; its arrays refer to what is in memory. */
static struct task *new_task(struct mailbox *mailbox, struct flwr_dict *memory)
{
	struct task *task = task_new(mailbox, NULL);

	assert_non_null(task);
	task->metadata.message_type = strdup("train");
	task->metadata.message_id = strdup("m");
	task->metadata.group_id = strdup("1");
	assert_int_equal(dict_give_records(memory, &task->content), 0);
	return task;
}

static struct flwr_dict *new_question(void)
{
	struct flwr_dict *question = flwr_dict_new();

	flwr_set_array(flwr_dict_add(question, "fitins.parameters", FLWR_ARRAYS), "0", FLWR_FLOAT32,
		1, &three, weights);
	assert_int_equal(flwr_set_double(flwr_dict_add(question, "fitins.config", FLWR_CONFIGS),
				 "rate", 0.25),
		0);
	return question;
}

/* The thread of a node does this with a task that is done with. */
static void task_over(struct mailbox *mailbox, struct task *task)
{
	struct mail mail;

	task_unref(task);
	mailbox_take(mailbox, &mail);
	for (struct task_part *part = mail.over, *next; part; part = next) {
		next = part->next;
		task_part_free(part);
	}
}

static void a_message_says_no_memory(void **state)
{
	const struct settings settings = {
		.has_client = true, .client = {.size = sizeof(struct flwr_client), .fit = learn}};
	const struct work_hooks hooks = {0};
	bool failed = true;

	for (size_t n = 1; failed; n++) {
		struct flwr_dict *question = new_question();
		struct mailbox mailbox;
		struct task *task;

		assert_int_equal(mailbox_init(&mailbox), 0);
		task = new_task(&mailbox, question);
		failing_at(n);
		work_on(&settings, &hooks, task);
		failed = failing_stop();
		if (!failed)
			assert_int_equal(task->result, 0);
		if (task->result) {
			if (!strstr(task->sentence, "memory"))
				fail_msg("%zu: %s", n, task->sentence);
		} else {
			assert_int_equal(task->reply.n, 4);
			assert_int_equal(task->state.n, 1);
		}
		task_over(&mailbox, task);
		mailbox_done(&mailbox);
		flwr_dict_free(question);
		assert_true(n < 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_says_no_memory),
		cmocka_unit_test(a_client_of_a_server_says_no_memory),
		cmocka_unit_test(a_client_of_a_superlink_says_no_memory),
		cmocka_unit_test(a_message_says_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
