# The numbers of all fields as constants: NUMBER_<MESSAGE>_<FIELD>. Reads the files of proto/, in which each message,
# oneof, field and closing brace has a line of its own, or a oneof has one line; messages in messages are not known.
function constant(text) {
	while (match(text, /[a-z0-9][A-Z]/))
		text = substr(text, 1, RSTART) "_" substr(text, RSTART + 1)
	return toupper(text)
}

BEGIN { print "/* Generated from proto/. */\n#ifndef FLWR_NUMBERS_H\n#define FLWR_NUMBERS_H\n\nenum {" }
{ sub(/\/\/.*/, "") }
/^message / { message = $2 }
/^[ \t]*enum / { in_enum = 1 }
/^}/ { message = "" }
message && !in_enum && !/^[ \t]*option / && match($0, /[a-z_0-9]+ = [0-9]+/) {
	split(substr($0, RSTART, RLENGTH), field, " = ")
	print "\tNUMBER_" constant(message) "_" toupper(field[1]) " = " field[2] ","
}
in_enum && /}/ { in_enum = 0 }
END { print "};\n\n#endif" }
