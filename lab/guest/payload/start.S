/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Entry by the PVH protocol: 32-bit protected mode, flat segments, paging off,
 * %ebx = physical address of struct hvm_start_info.  From here to 64-bit C with
 * the first 4 GiB mapped one to one in 2 MiB pages.
 */

	.section .note.pvh, "a", @note
	.align 4
	.long 4			/* size of the name */
	.long 4			/* size of the value */
	.long 18		/* XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.long start32

	.text
	.code32
	.globl start32
start32:
	cld
	movl	$stack_top, %esp
	movl	%ebx, %esi

	/* Four page directories, 2048 entries of 2 MiB: present, writable, large. */
	movl	$page_directories, %edi
	movl	$0x83, %eax
	movl	$2048, %ecx
1:	movl	%eax, (%edi)
	movl	$0, 4(%edi)
	addl	$0x200000, %eax
	addl	$8, %edi
	loop	1b

	movl	$page_pdpt, %edi
	movl	$page_directories + 3, %eax
	movl	$4, %ecx
2:	movl	%eax, (%edi)
	addl	$4096, %eax
	addl	$8, %edi
	loop	2b
	movl	$page_pdpt + 3, page_pml4

	movl	%cr4, %eax
	orl	$0x620, %eax		/* PAE, and SSE that the ABI of C assumes */
	movl	%eax, %cr4
	movl	$page_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	orl	$0x100, %eax
	wrmsr
	movl	%cr0, %eax
	andl	$~4, %eax		/* no x87 emulation */
	orl	$0x80000003, %eax	/* PG, MP, PE */
	movl	%eax, %cr0
	lgdt	gdt_pointer
	ljmp	$8, $start64

	.code64
start64:
	movl	$16, %eax
	movl	%eax, %ds
	movl	%eax, %es
	movl	%eax, %ss
	movl	%eax, %fs
	movl	%eax, %gs
	movq	$stack_top, %rsp
	movl	%esi, %edi
	xorl	%ebp, %ebp
	call	payload_main
3:	cli
	hlt
	jmp	3b

	.section .rodata
	.align 8
gdt:
	.quad 0
	.quad 0x00af9a000000ffff	/* 64-bit code */
	.quad 0x00cf92000000ffff	/* data */
gdt_pointer:
	.word gdt_pointer - gdt - 1
	.long gdt

	.bss
	.align 4096
	.globl page_pml4
page_pml4:
	.skip 4096
page_pdpt:
	.skip 4096
page_directories:
	.skip 4 * 4096
	.skip 32768
stack_top:

	.section .note.GNU-stack, "", @progbits
