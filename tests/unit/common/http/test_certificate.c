/* A client's own certificate, at a server that wants one. */
#include "common/base/cleanup.h"
#include "common/base/files.h"
#include "common/http/client.h"
#include "kit/authority.h"
#include "kit/child.h"
#include "kit/loop.h"

#include <signal.h>

static struct {
	struct loop *loop;
	struct http *http;
	struct kit_authority root;
	struct kit_child peer;
	char address[64];
	char *ca, *chain, *key;
	/* the answer */
	unsigned done;
	enum http_failure failure;
	char said[64];
} rig;

static char *read_text(const char *name)
{
	auto_(free_at_exit) char *path = kit_dir_path(name);
	FILE *file = fopen(path, "r");
	char *text = NULL;
	size_t room = 0;

	assert_non_null(file);
	assert_true(getdelim(&text, &room, '\0', file) > 0);
	fclose(file);
	return text;
}

static int setup(void **state)
{
	memset(&rig, 0, sizeof rig);
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(kit_dir_make(state), 0);
	rig.root = kit_authority_make("root");
	kit_authority_sign(&rig.root, "server", 1);
	kit_authority_sign(&rig.root, "worker", 1);
	rig.ca = read_text("root.pem");
	rig.chain = read_text("worker.pem");
	rig.key = read_text("worker.key");
	kit_child_start(&rig.peer, KIT_OLDEST, FLWR_TEST_DIR "/tls_stand_in.py", kit_dir);
	kit_child_copy_value(&rig.peer, "address", rig.address, sizeof rig.address);
	assert_int_equal(loop_new(&rig.loop), 0);
	return http_new(rig.loop, &rig.http, NULL);
}

static int teardown(void **state)
{
	http_free(rig.http);
	loop_free(rig.loop);
	kit_child_end(&rig.peer);
	kit_authority_done(&rig.root);
	free(rig.ca);
	free(rig.chain);
	free(rig.key);
	return kit_dir_remove(state);
}

static void on_done(void *arg, struct http_result *result)
{
	size_t n = result->body.bytes < sizeof rig.said ? result->body.bytes : sizeof rig.said - 1;

	rig.done++;
	rig.failure = result->failure;
	assert_int_equal(slices_read(&result->body, 0, rig.said, n), 0);
	rig.said[n] = '\0';
}

static void call(bool shows)
{
	struct http_client *client = NULL;
	struct slices none = {0};

	assert_int_equal(http_client_new(rig.http,
				 &(struct http_client_options){.address = rig.address,
					 .ca_pem = rig.ca,
					 .chain_pem = shows ? rig.chain : NULL,
					 .key_pem = shows ? rig.key : NULL,
					 .receive_max_bytes = 4096},
				 &client),
		0);
	rig.done = 0;
	assert_int_equal(http_call_start(client,
				 &(struct http_call_options){
					 .path = "/", .timeout_ms = 20000, .done = on_done},
				 &none, NULL),
		0);
	kit_loop_until(rig.loop, rig.done);
	http_client_free(client);
}

static void it_is_shown(void **state)
{
	call(true);
	assert_int_equal(rig.failure, HTTP_FAILURE_NONE);
	assert_string_equal(rig.said, "worker");
	/* Connections of the other client are not used. */
	call(false);
	assert_int_not_equal(rig.failure, HTTP_FAILURE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_shown, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
