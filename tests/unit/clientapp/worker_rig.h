/*
 * worker_rig: a worker with stand-ins for the SuperNode, the app process and the installation of
 * its FAB; the test is the agent. Time passes when a test says so. Programs with it are linked as
 * the CMakeLists.txt says.
 */
#ifndef FLWR_TEST_WORKER_RIG_H
#define FLWR_TEST_WORKER_RIG_H

#include "clientapp/api/conversation.h"
#include "clientapp/run/app_host.h"
#include "clientapp/worker.h"
#include "kit/clock.h"
#include "kit/log.h"
#include "kit/loop.h"

/* The arguments that the stand-ins were called with, and the results that they give. */
extern struct world {
	conversation_pulled_fn *pulled;
	conversation_pushed_fn *pushed;
	void *conversation_arg;
	void (*gone)(void *arg);
	void *gone_arg;
	unsigned pushes;
	bool pushed_error;
	int64_t code;
	char reason[512];
	app_host_fn *said;
	void *app_arg;
	unsigned tasks;
	bool app_has_error;
	int install_result;
	unsigned installs;
	const char *component; /* of the app's manifest */
	bool refused;
	unsigned done;
} world;

struct rig {
	struct loop *loop;
	struct kit_log log;
	int agent; /* the agent's end of the control socket */
	struct worker *worker;
};

/* A worker that asks for its app at once; or, naming, when it knows which app it is. */
int setup(void **state);
int setup_naming(void **state);
int teardown(void **state);

/* The inputs of a message that can be run; and give inputs, which are taken over. */
struct conversation_inputs good_inputs(void);
void give(struct conversation_inputs inputs);

/* The agent sends a message; the next one from the worker is of this kind. */
void agent_says(struct rig *rig, const struct control_message *message);
void agent_hears(struct rig *rig, enum control_kind kind);

/* The app process that the worker has asked for is there. */
void app_of_kind_starts(struct rig *rig, bool native);

#endif
