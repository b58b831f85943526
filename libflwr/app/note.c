#include "libflwr/app/note_internal.h"

#define STRING_OF_(x) #x
#define STRING_OF(x)  STRING_OF_(x)

/* A section of this type, which the linker keeps, can only be named in assembler. Sizes of name and
 * description, type, name. */
__asm__(".pushsection .note.flwr, \"a\", %note\n"
	".balign 4\n"
	".long 9\n"
	".long 0\n"
	".long " STRING_OF(LIBRARY_NOTE_TYPE) "\n"
	".asciz \"" LIBRARY_NOTE "\"\n"
	".balign 4\n"
	".popsection\n");

_Static_assert(sizeof LIBRARY_NOTE == 9, "the note says how long its name is");
