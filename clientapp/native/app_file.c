#include "clientapp/native/app_file.h"

#include "common/base/cleanup.h"
#include "libflwr/app/call_internal.h"
#include "libflwr/app/note_internal.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>

/* The header of this program, where the linker has put it. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

typedef const struct flwr_clientapp *app_fn(void);

const char *app_file_name(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

/* Read how file begins; fewer bytes than an ELF header has are zeros behind. 0 or negative. */
static int read_header(const char *file, ElfW(Ehdr) * out)
{
	/* A pipe that nobody writes to must not hold us up. */
	auto_(close_at_exit) int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *name = app_file_name(file);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(FLWR_E_FILE, "%s: %s", name, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(FLWR_E_FILE, "%s is no file", name);
	memset(out, 0, sizeof *out);
	if (read(fd, out, sizeof *out) < 0)
		return error_set(FLWR_E_FILE, "%s: %s", name, strerror(errno));
	return 0;
}

/* Check, before anything of the file runs, that it is a shared object for this machine. */
static int check_header(const char *file)
{
	const ElfW(Ehdr) *own = &__ehdr_start;
	const char *name = app_file_name(file);
	ElfW(Ehdr) its;
	int r = read_header(file, &its);

	if (r)
		return r;
	if (memcmp(its.e_ident, ELFMAG, SELFMAG) != 0)
		return error_set(FLWR_E_FILE, "%s is no shared object", name);
	if (its.e_ident[EI_DATA] != own->e_ident[EI_DATA])
		return error_set(FLWR_E_FILE, "%s is for a machine with another byte order", name);
	if (its.e_ident[EI_CLASS] != own->e_ident[EI_CLASS] || its.e_machine != own->e_machine)
		return error_set(FLWR_E_FILE,
			"%s is for another machine (ELF machine %d with %d bits, this one is %d with %d)",
			name, its.e_machine, its.e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64,
			own->e_machine, own->e_ident[EI_CLASS] == ELFCLASS32 ? 32 : 64);
	return its.e_type == ET_DYN
		       ? 0
		       : error_set(FLWR_E_FILE,
				 "%s is no shared object: link it with -shared (and -fPIC)", name);
}

/* Set the sentence of the dynamic linker, without the folders of file. Returns its code. */
static int cannot_load(const char *file, const char *cause)
{
	const char *name = app_file_name(file);
	size_t folders = (size_t)(name - file);
	char text[REASON_BYTES];
	size_t n = 0;

	while (*cause && n < sizeof text - 1) {
		if (folders && strncmp(cause, file, folders) == 0)
			cause += folders;
		text[n++] = *cause++;
	}
	text[n] = '\0';
	/* The linker mostly begins with the name, which stands there already. */
	if (strncmp(text, name, strlen(name)) == 0 && strncmp(text + strlen(name), ": ", 2) == 0)
		memmove(text, text + strlen(name) + 2, strlen(text + strlen(name) + 2) + 1);
	return error_set(FLWR_E_FILE, "%s cannot be loaded: %s", name, text);
}

/* Is the library's note among these? */
static bool has_note(const uint8_t *at, size_t left)
{
	const size_t align = 4;

	while (left >= sizeof(ElfW(Nhdr))) {
		ElfW(Nhdr) note;
		size_t bytes;

		memcpy(&note, at, sizeof note);
		bytes = sizeof note + (note.n_namesz + align - 1) / align * align +
			(note.n_descsz + align - 1) / align * align;
		if (bytes > left)
			return false;
		if (note.n_namesz == sizeof LIBRARY_NOTE && note.n_type == LIBRARY_NOTE_TYPE &&
			memcmp(at + sizeof note, LIBRARY_NOTE, sizeof LIBRARY_NOTE) == 0)
			return true;
		at += bytes;
		left -= bytes;
	}
	return false;
}

/* Count the object at *arg if it has the library inside. */
static int count_library(struct dl_phdr_info *object, size_t size, void *arg)
{
	unsigned *n = arg;

	(void)size;
	for (ElfW(Half) i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *part = &object->dlpi_phdr[i];

		if (part->p_type == PT_NOTE &&
			has_note((const uint8_t *)object->dlpi_addr + part->p_vaddr,
				part->p_memsz)) {
			++*n;
			break;
		}
	}
	return 0;
}

/* A copy of the library in the file itself, or in one that it brings, would take our objects for
 * its own. Its symbols may be hidden, its note is not. */
static int check_library(const char *file)
{
	unsigned libraries = 0;

	dl_iterate_phdr(count_library, &libraries);
	if (libraries == 1)
		return 0;
	return error_set(FLWR_E_VERSION,
		"%s brings a libflwr-app of its own: link it with the shared one (-lflwr-app)",
		app_file_name(file));
}

static int make_app(
	const char *file, void *handle, const char *symbol, const struct flwr_clientapp **out)
{
	const char *name = app_file_name(file);
	const struct flwr_clientapp *app;
	void *address = dlsym(handle, symbol);
	app_fn *make;
	int r;

	if (!address)
		return error_set(FLWR_E_FILE,
			"%s has no function %s(), or hides it: declare it FLWR_API", name, symbol);
	memcpy(&make, &address, sizeof make);
	error_set(FLWR_E_APP, "%s() of %s returned NULL without a reason", symbol, name);
	app = make();
	if (!app)
		return FLWR_E_APP;
	r = app_check(app, name);
	if (r == 0)
		*out = app;
	return r;
}

int app_file_load(const char *file, const char *symbol, const struct flwr_clientapp **out)
{
	int r = check_header(file);
	void *handle;

	if (r)
		return r;
	/* At once: a function that this release lacks is said now, not when it is called. */
	handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (!handle)
		return cannot_load(file, dlerror());
	r = check_library(file);
	/* The object stays loaded, also on failure: its constructors may have started threads. */
	return r ? r : make_app(file, handle, symbol, out);
}
