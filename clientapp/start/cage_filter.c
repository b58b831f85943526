/*
 * The filter of system calls of the strict cage, as BPF by hand: it refuses what reaches around the
 * file system, or into the kernel, and sockets that Landlock does not judge. The rest is allowed:
 * what apps and their libraries call cannot be listed. Refused calls fail with EPERM, sockets with
 * EACCES, as Landlock refuses files; so programs go on by what they do without. Before ABI 3
 * Landlock does not judge truncation: there the filter refuses it by name, also in the node's cage
 * where no mounts cover what is hidden.
 */
#include "clientapp/start/cage_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define X32_BIT         0x40000000U
#define NUMBER_AT       offsetof(struct seccomp_data, nr)
#define ARCHITECTURE_AT offsetof(struct seccomp_data, arch)
/* The lower half of an argument: all are at most 32 bits wide for the kernel. */
#define ARGUMENT_AT(n) (offsetof(struct seccomp_data, args) + (n)*8)
#define FASTOPEN       0x20000000U /* MSG_FASTOPEN: connects without connect() */
#define TYPE_MASK      0xfU        /* of socket(): without SOCK_CLOEXEC, SOCK_NONBLOCK */
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
#define PROTOCOL_TCP 6
#define FILTER_MAX   512
#define ABI_TRUNCATE 3 /* Landlock judges truncation */

#ifdef ARCHITECTURE

static const int refused[] = {
	/* Other processes: Landlock and user namespaces refuse these as well. */
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_pidfd_getfd,
	SYS_kcmp,
	/* Calls behind which others are hidden, or which no rule judges. */
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	/* Keys of the user's sessions. */
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	/* Mounts, roots and namespaces. */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_open_tree,
	SYS_move_mount,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_mount_setattr,
	/* The kernel and the machine. */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_quotactl,
	SYS_syslog,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
	SYS_clock_adjtime,
	SYS_sethostname,
	SYS_setdomainname,
	SYS_vhangup,
	SYS_lookup_dcookie,
	SYS_nfsservctl,
	SYS_fanotify_init,
#ifdef __x86_64__
	SYS_iopl,
	SYS_ioperm,
	SYS_modify_ldt,
	SYS_uselib,
	SYS__sysctl,
	SYS_create_module,
#endif
};

/* A program that is being written. */
struct program {
	struct sock_filter code[FILTER_MAX];
	unsigned short n;
};

static void emit(struct program *program, unsigned short code, uint32_t k, uint8_t yes, uint8_t no)
{
	if (program->n < FILTER_MAX)
		program->code[program->n] = (struct sock_filter){code, yes, no, k};
	program->n++;
}

static void load(struct program *program, size_t at)
{
	emit(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void give(struct program *program, uint32_t result)
{
	emit(program, BPF_RET | BPF_K, result, 0, 0);
}

static uint32_t error(int number)
{
	return SECCOMP_RET_ERRNO | (uint32_t)number;
}

/* The instructions up to end_if() are run for this value only. The result is for end_if(). */
static unsigned short if_equal(struct program *program, uint32_t value)
{
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0);
	return (unsigned short)(program->n - 1);
}

/* The same for values with one of these bits. */
static unsigned short if_any(struct program *program, uint32_t bits)
{
	emit(program, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 0);
	return (unsigned short)(program->n - 1);
}

static void end_if(struct program *program, unsigned short begin)
{
	if (begin < FILTER_MAX)
		program->code[begin].jf = (uint8_t)(program->n - begin - 1);
}

static void give_if_equal(struct program *program, uint32_t value, uint32_t result)
{
	unsigned short begin = if_equal(program, value);

	give(program, result);
	end_if(program, begin);
}

/* Each block below ends in results, so that what is loaded in one is of no matter to the next. */
static void refuse_calls(struct program *program)
{
	unsigned short clone, namespaces;

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		give_if_equal(program, (uint32_t)refused[i], error(EPERM));
	/* Its flags lie in memory, where a filter cannot look; libraries then use clone(). */
	give_if_equal(program, SYS_clone3, error(ENOSYS));
	clone = if_equal(program, SYS_clone);
	load(program, ARGUMENT_AT(0));
	namespaces = if_any(program, NAMESPACES);
	give(program, error(EPERM));
	end_if(program, namespaces);
	give(program, SECCOMP_RET_ALLOW);
	end_if(program, clone);
}

/* Other protocols with streams (MPTCP, SMC) are not judged by Landlock. */
static void allow_tcp(struct program *program, uint32_t family)
{
	unsigned short of_family = if_equal(program, family), stream;

	load(program, ARGUMENT_AT(1));
	emit(program, BPF_ALU | BPF_AND | BPF_K, TYPE_MASK, 0, 0);
	stream = if_equal(program, SOCK_STREAM);
	load(program, ARGUMENT_AT(2));
	give_if_equal(program, 0, SECCOMP_RET_ALLOW);
	give_if_equal(program, PROTOCOL_TCP, SECCOMP_RET_ALLOW);
	end_if(program, stream);
	give(program, error(EACCES));
	end_if(program, of_family);
}

/* Sockets are those of this machine and, with ports, TCP's. */
static void refuse_sockets(struct program *program, bool tcp)
{
	static const uint32_t calls[] = {SYS_socket, SYS_socketpair};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		unsigned short call = if_equal(program, calls[i]);

		load(program, ARGUMENT_AT(0));
		give_if_equal(program, AF_UNIX, SECCOMP_RET_ALLOW);
		if (tcp) {
			allow_tcp(program, AF_INET);
			allow_tcp(program, AF_INET6);
		}
		give(program, error(EACCES));
		end_if(program, call);
	}
}

/* This flag of sending connects a socket of TCP, past Landlock. */
static void refuse_fast_open(struct program *program)
{
	static const uint32_t calls[][2] = {{SYS_sendto, 3}, {SYS_sendmsg, 2}, {SYS_sendmmsg, 3}};

	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		unsigned short call = if_equal(program, calls[i][0]), flag;

		load(program, ARGUMENT_AT(calls[i][1]));
		flag = if_any(program, FASTOPEN);
		give(program, error(EACCES));
		end_if(program, flag);
		give(program, SECCOMP_RET_ALLOW);
		end_if(program, call);
	}
}

/* A file that can be read, but not written, can be emptied so. Landlock judges who opens it to
 * write, but not the fourth access mode (O_ACCMODE): such a file can be neither read nor written.
 */
static void refuse_reader_truncation(struct program *program, uint32_t call, unsigned flags)
{
	unsigned short opens = if_equal(program, call), truncates;

	load(program, ARGUMENT_AT(flags));
	truncates = if_any(program, O_TRUNC);
	emit(program, BPF_ALU | BPF_AND | BPF_K, O_ACCMODE, 0, 0);
	give_if_equal(program, O_WRONLY, SECCOMP_RET_ALLOW);
	give_if_equal(program, O_RDWR, SECCOMP_RET_ALLOW);
	give(program, error(EACCES));
	end_if(program, truncates);
	give(program, SECCOMP_RET_ALLOW);
	end_if(program, opens);
}

static void refuse_truncation(struct program *program)
{
	give_if_equal(program, SYS_truncate, error(EACCES));
#ifdef SYS_open
	refuse_reader_truncation(program, SYS_open, 1);
#endif
	refuse_reader_truncation(program, SYS_openat, 2);
	/* Its flags lie in memory, where a filter cannot look. */
	give_if_equal(program, SYS_openat2, error(ENOSYS));
	/* A ring opens files without a call that a filter sees. */
	give_if_equal(program, SYS_io_uring_setup, error(EPERM));
}

/* Calls of another architecture, and of x32, have other numbers. */
static void begin(struct program *program)
{
	load(program, ARCHITECTURE_AT);
	emit(program, BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	give(program, error(ENOSYS));
	load(program, NUMBER_AT);
	emit(program, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	give(program, error(ENOSYS));
}

static void refuse_for_strict(struct program *program, const char *description)
{
	char network[PATH_MAX] = "";
	bool all = cage_has(description, "network", network) && strcmp(network, "all") == 0;

	refuse_calls(program);
	if (!all)
		refuse_sockets(program, network[0] != '\0');
	if (!all && network[0])
		refuse_fast_open(program);
}

int cage_filter(const char *description, int abi)
{
	static struct program program;
	struct sock_fprog filter = {.filter = program.code};
	bool strict = cage_has(description, "strict", NULL);
	bool truncation = abi < ABI_TRUNCATE && (strict || !cage_has(description, "mounts", NULL));

	if (!strict && !truncation)
		return 0;
	program.n = 0;
	begin(&program);
	if (truncation)
		refuse_truncation(&program);
	if (strict)
		refuse_for_strict(&program, description);
	give(&program, SECCOMP_RET_ALLOW);
	if (program.n > FILTER_MAX)
		return cage_failed("its filter is too long", "", E2BIG);
	filter.len = program.n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return cage_failed("no filter of system calls", "", errno);
	return 0;
}

#else

int cage_filter(const char *description, int abi)
{
	(void)abi;
	if (!cage_has(description, "strict", NULL))
		return 0;
	return cage_failed("no filter of system calls for this processor", "", ENOSYS);
}

#endif
