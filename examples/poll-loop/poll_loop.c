/* A program with a loop of its own, and a node in it: Ctrl-C ends both. Runs the app of
 * app.c, linked in. */
#include <flwr/client.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static struct flwr_node *node;

static void on_signal(int number)
{
	(void)number;
	flwr_node_stop(node); /* may be called here */
}

int main(int argc, char **argv)
{
	struct flwr_options options = {.size = sizeof options,
		.server_address = argc > 1 ? argv[1] : "localhost:9092",
		.transport = "grpc-rere",
		.app = flwr_app(),
		.node_config = "partition-id=0 num-partitions=2",
		.log = flwr_log_to_stderr};
	struct sigaction action = {.sa_handler = on_signal};
	int result = flwr_node_new(&options, &node);

	if (result != 0) {
		fprintf(stderr, "no node: %s\n", flwr_error());
		return 1;
	}
	sigaction(SIGINT, &action, NULL);
	struct pollfd fds[] = {
		{flwr_node_fd(node), POLLIN, 0},
		{STDIN_FILENO, POLLIN, 0}, /* what the program has else */
	};
	while (result == 0) {
		if (poll(fds, 2, -1) < 0)
			continue; /* a signal */
		if (fds[1].revents != 0) {
			char line[256];

			if (read(STDIN_FILENO, line, sizeof line) <= 0) {
				flwr_node_stop(node);
				fds[1].fd = -1; /* its end would be told again and again */
			}
		}
		if (fds[0].revents != 0)
			result = flwr_node_step(node);
	}
	if (result != FLWR_ENDED)
		fprintf(stderr, "node: %s\n", flwr_error());
	signal(SIGINT, SIG_DFL); /* on_signal() must not meet a node that is being freed */
	flwr_node_free(node);
	return result == FLWR_ENDED ? 0 : 1;
}
