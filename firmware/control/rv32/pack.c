// SPDX-License-Identifier: MIT
/*
 * weft-fwpack: makes a firmware image (struct weft_fw_image and the program) from
 * a linked RV32 ELF file.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weft_hw.h>

#include "crc32.h"

static _Noreturn void fail(const char *file, const char *what)
{
	fprintf(stderr, "weft-fwpack: %s: %s\n", file, what);
	exit(1);
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
		fail(path, strerror(errno));
	*bytes = (size_t)end;
	data = malloc(*bytes + 1);
	if (!data || fread(data, 1, *bytes, file) != *bytes)
		fail(path, "cannot read");
	fclose(file);
	return data;
}

/* Copy the loadable segments to @program, which starts at @base; returns where the last one's contents end. */
static uint32_t load_segments(const char *path, const uint8_t *elf, size_t bytes, uint32_t base, uint8_t *program,
			      uint32_t *memory_end)
{
	const Elf32_Ehdr *header = (const void *)elf;
	uint32_t end = base;

	for (unsigned int i = 0; i < header->e_phnum; i++) {
		const Elf32_Phdr *segment = (const void *)(elf + header->e_phoff + i * sizeof(*segment));

		if (segment->p_type != PT_LOAD)
			continue;
		if ((uint64_t)segment->p_offset + segment->p_filesz > bytes || segment->p_paddr < base ||
		    (uint64_t)segment->p_paddr - base + segment->p_memsz > WEFT_FW_MAX_BYTES)
			fail(path, "segment out of range");
		memcpy(program + (segment->p_paddr - base), elf + segment->p_offset, segment->p_filesz);
		if (segment->p_filesz && segment->p_paddr + segment->p_filesz > end)
			end = segment->p_paddr + segment->p_filesz;
		if (segment->p_paddr + segment->p_memsz > *memory_end)
			*memory_end = segment->p_paddr + segment->p_memsz;
	}
	return end;
}

int main(int argc, char **argv)
{
	static uint8_t program[WEFT_FW_MAX_BYTES];
	struct weft_fw_image image = {
		.magic = WEFT_FW_MAGIC,
		.header_version = WEFT_FW_HEADER_VERSION,
		.header_bytes = sizeof(image),
		.hw_version = WEFT_HW_VERSION(WEFT_HW_VERSION_MAJOR, WEFT_HW_VERSION_MINOR),
		.isa_version = WEFT_HW_VERSION(WEFT_ISA_VERSION_MAJOR, WEFT_ISA_VERSION_MINOR),
	};
	const Elf32_Ehdr *header;
	uint8_t *elf;
	size_t bytes;
	FILE *out;

	if (argc != 4) {
		fprintf(stderr, "usage: weft-fwpack PROGRAM.elf VERSION OUT.bin\n");
		return 2;
	}
	elf = read_file(argv[1], &bytes);
	header = (const void *)elf;
	if (bytes < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_ident[EI_CLASS] != ELFCLASS32 || header->e_machine != EM_RISCV ||
	    header->e_phentsize != sizeof(Elf32_Phdr) ||
	    (uint64_t)header->e_phoff + header->e_phnum * sizeof(Elf32_Phdr) > bytes)
		fail(argv[1], "not an RV32 ELF file");
	if (strlen(argv[2]) >= sizeof(image.version))
		fail(argv[2], "version is longer than 31 characters");
	image.entry = header->e_entry;
	image.program_bytes = load_segments(argv[1], elf, bytes, image.load_address, program, &image.memory_bytes);
	strcpy(image.version, argv[2]);
	image.program_crc = weft_crc32(0, program, image.program_bytes);
	image.header_crc = weft_crc32(0, &image, sizeof(image));

	out = fopen(argv[3], "wb");
	if (!out || fwrite(&image, sizeof(image), 1, out) != 1 ||
	    fwrite(program, 1, image.program_bytes, out) != image.program_bytes || fclose(out))
		fail(argv[3], strerror(errno));
	free(elf);
	return 0;
}
