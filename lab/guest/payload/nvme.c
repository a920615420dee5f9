/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An NVMe driver of one queue pair, after the NVM Express base specification 1.4. */
#include "payload.h"

#define REG_CAP	  0x00
#define REG_CC	  0x14
#define REG_CSTS  0x1c
#define REG_AQA	  0x24
#define REG_ASQ	  0x28
#define REG_ACQ	  0x30
#define DOORBELLS 0x1000

#define ADMIN_CREATE_SQ	   0x01
#define ADMIN_CREATE_CQ	   0x05
#define ADMIN_IDENTIFY	   0x06
#define ADMIN_SET_FEATURES 0x09
#define IO_WRITE	   0x01
#define IO_READ		   0x02

#define ENTRIES	    16u
#define CHUNK_PAGES 16u
#define CHUNK	    (CHUNK_PAGES * PAGE_SIZE)
#define COMMAND_MS  10000

struct command {
	uint32_t opcode_id;
	uint32_t nsid;
	uint32_t reserved[4];
	uint64_t prp1, prp2;
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct completion {
	uint32_t result, reserved, sq, id_status;
};

struct queue {
	struct command *commands;
	struct completion *completions;
	unsigned id, vector, at;
	uint16_t phase;
};

struct nvme {
	const struct function *f;
	volatile uint8_t *regs;
	unsigned stride;
	uint32_t block_size;
	uint64_t blocks;
	struct queue admin, io;
	uint8_t *buffer;
	uint64_t *prp_list;
	char serial[21];
	bool irqs_ok;
};

/* The stride of doorbells comes from CAP; 4 bytes everywhere we have seen. */
static volatile uint8_t *doorbell(const struct nvme *d, const struct queue *q, bool completion)
{
	return d->regs + DOORBELLS + (2 * q->id + completion) * d->stride;
}

static bool submit(struct nvme *d, struct queue *q, struct command command)
{
	volatile struct completion *done = &q->completions[q->at];
	uint32_t seen = interrupt_count(q->vector);
	uint32_t status;

	command.opcode_id |= (uint32_t)q->at << 16;
	q->commands[q->at] = command;
	barrier();
	q->at = (q->at + 1) % ENTRIES;
	write32(doorbell(d, q, false), q->at);
	/* An interrupt for each command, or the interrupts are not as they should be. */
	if (!interrupt_wait(q->vector, seen, COMMAND_MS))
		d->irqs_ok = false;
	status = done->id_status >> 16;
	if ((status & 1) != q->phase) {
		print("guest: nvme command %x of queue %u: no completion\n",
		      command.opcode_id & 0xff, q->id);
		return false;
	}
	if (!q->at)
		q->phase ^= 1;
	write32(doorbell(d, q, true), q->at);
	if (status >> 1) {
		print("guest: nvme command %x of queue %u: status %x\n", command.opcode_id & 0xff,
		      q->id, status >> 1);
		return false;
	}
	return true;
}

static void queue_init(struct queue *q, unsigned id)
{
	*q = (struct queue){
		.commands = alloc_pages(1),
		.completions = alloc_pages(1),
		.id = id,
		.vector = interrupt_vector(),
		.phase = 1,
	};
}

static bool wait_ready(const struct nvme *d, uint32_t ready)
{
	for (int tries = 0; tries < 1000; tries++) {
		uint32_t status = read32(d->regs + REG_CSTS);

		if (status == 0xffffffff)
			return false;
		if ((status & 1) == ready)
			return true;
		sleep_ms(10);
	}
	return false;
}

static bool start_controller(struct nvme *d)
{
	unsigned vectors[2];

	d->regs = pci_map_bar(d->f, 0);
	if (!d->regs)
		return false;
	d->stride = 4u << (read64(d->regs + REG_CAP) >> 32 & 15);
	write32(d->regs + REG_CC, 0);
	if (!wait_ready(d, 0))
		return false;
	queue_init(&d->admin, 0);
	queue_init(&d->io, 1);
	vectors[0] = d->admin.vector;
	vectors[1] = d->io.vector;
	if (!pci_enable_msix(d->f, vectors, 2))
		return false;
	write32(d->regs + REG_AQA, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	write64(d->regs + REG_ASQ, (uint64_t)d->admin.commands);
	write64(d->regs + REG_ACQ, (uint64_t)d->admin.completions);
	/* Completions of 16 bytes, submissions of 64, pages of 4 KiB, NVM commands. */
	write32(d->regs + REG_CC, 4u << 20 | 6u << 16 | 1);
	return wait_ready(d, 1);
}

static bool identify(struct nvme *d)
{
	struct command c = {.opcode_id = ADMIN_IDENTIFY, .prp1 = (uint64_t)d->buffer, .dw10 = 1};
	unsigned format;

	if (!submit(d, &d->admin, c))
		return false;
	memcpy(d->serial, d->buffer + 4, 20);
	for (int n = 19; n >= 0 && (d->serial[n] == ' ' || !d->serial[n]); n--)
		d->serial[n] = 0;
	c.dw10 = 0;
	c.nsid = 1;
	if (!submit(d, &d->admin, c))
		return false;
	d->blocks = read64(d->buffer);
	format = d->buffer[26] & 15u;
	d->block_size = 1u << (read32(d->buffer + 128 + 4 * format) >> 16 & 0xff);
	return d->block_size >= 512 && d->block_size <= PAGE_SIZE;
}

static bool create_io_queues(struct nvme *d)
{
	struct command c = {.opcode_id = ADMIN_SET_FEATURES, .dw10 = 7};

	if (!submit(d, &d->admin, c))
		return false;
	c = (struct command){
		.opcode_id = ADMIN_CREATE_CQ,
		.prp1 = (uint64_t)d->io.completions,
		.dw10 = (ENTRIES - 1) << 16 | d->io.id,
		.dw11 = 1u << 16 | 3, /* vector 1, interrupts on, contiguous */
	};
	if (!submit(d, &d->admin, c))
		return false;
	c.opcode_id = ADMIN_CREATE_SQ;
	c.prp1 = (uint64_t)d->io.commands;
	c.dw11 = d->io.id << 16 | 1;
	return submit(d, &d->admin, c);
}

/* Up to CHUNK bytes between the buffer and the drive. */
static bool transfer(struct nvme *d, uint32_t opcode, uint64_t lba, uint32_t blocks)
{
	uint32_t pages = (blocks * d->block_size + PAGE_SIZE - 1) / PAGE_SIZE;
	uint64_t second = (uint64_t)d->buffer + PAGE_SIZE;

	return submit(d, &d->io,
		      (struct command){
			      .opcode_id = opcode,
			      .nsid = 1,
			      .prp1 = (uint64_t)d->buffer,
			      .prp2 = pages > 2	  ? (uint64_t)d->prp_list
				      : pages > 1 ? second
						  : 0,
			      .dw10 = (uint32_t)lba,
			      .dw11 = (uint32_t)(lba >> 32),
			      .dw12 = blocks - 1,
		      });
}

static bool read_range(struct nvme *d, uint64_t lba, uint64_t count, uint32_t *ret_crc)
{
	uint32_t crc = 0;

	while (count) {
		uint32_t most = CHUNK / d->block_size;
		uint32_t blocks = count < most ? (uint32_t)count : most;

		memset(d->buffer, 0xa5, CHUNK);
		if (!transfer(d, IO_READ, lba, blocks))
			return false;
		crc = crc32_update(crc, d->buffer, (size_t)blocks * d->block_size);
		lba += blocks;
		count -= blocks;
	}
	*ret_crc = crc;
	return true;
}

/* Little-endian words of x' = x * 1664525 + 1013904223, the first from the seed. */
static bool write_range(struct nvme *d, uint64_t lba, uint64_t count, uint32_t seed,
			uint32_t *ret_crc)
{
	uint32_t crc = 0;

	while (count) {
		uint32_t most = CHUNK / d->block_size;
		uint32_t blocks = count < most ? (uint32_t)count : most;
		uint32_t size = blocks * d->block_size;

		for (uint32_t n = 0; n < size; n += 4) {
			seed = seed * 1664525u + 1013904223u;
			memcpy(d->buffer + n, &seed, 4);
		}
		crc = crc32_update(crc, d->buffer, size);
		if (!transfer(d, IO_WRITE, lba, blocks))
			return false;
		lba += blocks;
		count -= blocks;
	}
	*ret_crc = crc;
	return true;
}

static void print_head(const struct nvme *d)
{
	print("guest: nvme 0000:%2x:%2x.%u serial=%s", d->f->bus, d->f->slot, d->f->fn, d->serial);
}

static bool drive_ranges(struct nvme *d)
{
	uint64_t lba = options.read ? options.read_lba : 0;
	uint64_t count = options.read ? options.read_count : 8;
	uint32_t first = interrupt_count(d->io.vector);
	uint32_t crc = 0;
	bool ok;

	if (options.write) {
		ok = write_range(d, options.write_lba, options.write_count, options.write_seed,
				 &crc);
		print_head(d);
		print(" write=%lu,%lu %s crc32=%8x\n", options.write_lba, options.write_count,
		      ok ? "ok" : "FAILED", crc);
		if (!ok)
			return false;
	}
	ok = read_range(d, lba, count, &crc);
	print_head(d);
	print(" blocks=%lu block=%u read=%lu,%lu irq=%s count=%u dma=%s crc32=%8x\n", d->blocks,
	      d->block_size, lba, count, d->irqs_ok ? "msix" : "LOST",
	      interrupt_count(d->io.vector) - first, ok ? "ok" : "FAILED", crc);
	return ok && d->irqs_ok;
}

bool nvme_drive(const struct function *f)
{
	struct nvme d = {.f = f, .irqs_ok = true};
	const char *failed = NULL;

	d.buffer = alloc_pages(CHUNK_PAGES);
	d.prp_list = alloc_pages(1);
	for (unsigned n = 1; n < CHUNK_PAGES; n++)
		d.prp_list[n - 1] = (uint64_t)d.buffer + n * PAGE_SIZE;
	if (!start_controller(&d))
		failed = "start";
	else if (!identify(&d))
		failed = "identify";
	else if (!create_io_queues(&d))
		failed = "queues";
	if (failed) {
		print("guest: nvme 0000:%2x:%2x.%u FAILED %s\n", f->bus, f->slot, f->fn, failed);
		return false;
	}
	return drive_ranges(&d);
}

/* Before the card goes: no DMA any more. */
void nvme_stop(const struct function *f)
{
	struct nvme d = {.f = f, .regs = pci_map_bar(f, 0)};

	if (!d.regs)
		return;
	write32(d.regs + REG_CC, 0);
	wait_ready(&d, 0);
}
