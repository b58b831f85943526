/*
 * toml_source: the text of a TOML document as the library gets it (C++). Flower's parser takes
 * numbers of any size; the library does not, so they are replaced. One thread each; throws
 * std::bad_alloc.
 */
#ifndef FLWR_CONFIG_TOML_SOURCE_H
#define FLWR_CONFIG_TOML_SOURCE_H

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/* A document without the carriage returns in front of line feeds. */
class source_text
{
      public:
	explicit source_text(std::string_view document);

	/* The offset in bytes of a character, by line and column from 1 on, as the library counts
	 * them; the end if there is none. */
	size_t at(size_t line, size_t column) const;

	std::string bytes;

      private:
	std::vector<uint32_t> lines;      /* the first character of each */
	std::vector<uint32_t> characters; /* where each begins */
};

/*
 * Replaces numbers that the library has refused by others as long as they were: integers of any
 * size are good TOML, and most of them do not matter here.
 */
class rewriting
{
      public:
	explicit rewriting(source_text &document) : source(document)
	{
	}

	/* The library has stopped at this offset, in or behind a number. Is that replaced? */
	bool at(size_t offset);

	/* Was there a larger integer? */
	bool is_large(size_t offset) const
	{
		return large.count(offset) > 0;
	}

      private:
	std::string_view word(size_t begin, size_t end) const;
	size_t start_of(size_t end) const;
	size_t end_of(size_t begin) const;
	size_t skip(size_t place) const;
	size_t next_in_list(size_t end) const;
	bool replace(size_t begin, size_t end);

	source_text &source;
	std::set<size_t> large;
};

#endif
