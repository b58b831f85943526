#include "libflwr/app/note_internal.h"

/* A section of this type, which the linker keeps, can only be named in assembler. Sizes of name and
 * description, type, name. */
__asm__(".pushsection .note.flwr, \"a\", %note\n"
	".balign 4\n"
	".long 9\n"
	".long 0\n"
	".long 1\n"
	".asciz \"flwr-app\"\n"
	".balign 4\n"
	".popsection\n");

_Static_assert(sizeof LIBRARY_NOTE == 9 && LIBRARY_NOTE_TYPE == 1, "the header says the same");
