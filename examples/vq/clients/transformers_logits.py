#!/usr/bin/env python3
"""First-token logits of a LLaVA checkpoint as Hugging Face transformers computes them.

    python3 transformers_logits.py CHECKPOINT --out logits.safetensors [--compare OTHER ...]

CHECKPOINT is a folder: the bundled LLaVA, or what `vq quantize` wrote from it. Questions and
images are the first of examples/models/data. Products are computed in float32 on the CPU, weights
are what the checkpoint holds. --compare prints the largest difference from other files of this
program or of `vq eval --logits`, relative to the largest logit, and fails above --tolerance.

Needs torch, transformers, safetensors, and bitsandbytes and accelerate for quantized checkpoints.
On CPUs with AVX-512, bitsandbytes multiplies in bfloat16, and decodes rows wrongly whose length is a
multiple of 16 but not of the block (K = 688 here). Unless --compiled-bitsandbytes is given, this
program keeps to its portable backend: the kernel is switched off, and a compiled library that is
found is reported.
"""
import argparse
import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[2] / "models"


def read_arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("--models", type=Path, default=MODELS, help="where data/ lies")
    p.add_argument("--questions", type=int, default=32)
    p.add_argument("--out", type=Path)
    p.add_argument("--compare", type=Path, nargs="*", default=[])
    p.add_argument("--tolerance", type=float, default=1e-3)
    p.add_argument("--compiled-bitsandbytes", action="store_true")
    return p.parse_args()


def read_questions(models, count):
    """Prompts (without padding) and normalized mosaics of 64 x 64 pixels."""
    import torch
    from safetensors.torch import load_file
    mosaics = load_file(models / "data" / "mosaic-test.safetensors")
    images = load_file(models / "data" / "cifar10-test.safetensors")["images"]
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    deviation = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    for i in range(count):
        a, b, c, d = (images[n] for n in mosaics["vqa.cells"][i].tolist())
        mosaic = torch.cat((torch.cat((a, b), 2), torch.cat((c, d), 2)), 1)
        length = int(mosaics["vqa.prompt_len"][i])
        yield (mosaics["vqa.prompt_ids"][i, :length].long(),
               ((mosaic.float() / 255 - mean) / deviation))


def compute(arguments):
    import torch
    import transformers
    model = transformers.LlavaForConditionalGeneration.from_pretrained(
        arguments.checkpoint, torch_dtype=torch.float32, device_map="cpu",
        attn_implementation="eager")
    model.eval()
    quantized = [name for name, module in model.named_modules()
                 if type(module).__name__ in ("Linear4bit", "Linear8bitLt")]
    plain = [name for name, module in model.named_modules() if type(module).__name__ == "Linear"]
    for weight in (*model.parameters(), *model.buffers()):  # loaded in the type of the file
        if weight.dtype in (torch.float16, torch.bfloat16):
            weight.data = weight.data.float()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.compute_dtype = torch.float32
            module.compute_type_is_set = True
            if not arguments.compiled_bitsandbytes:
                module.support_avx512bf16_for_cpu = False
    print(f"transformers {transformers.__version__}: {len(quantized)} quantized linear layers, "
          f"{len(plain)} plain; first quantized: {quantized[:1]}, first plain: {plain[:1]}")
    rows = []
    with torch.no_grad():
        for prompt, pixels in read_questions(arguments.models, arguments.questions):
            out = model(input_ids=prompt[None], pixel_values=pixels[None],
                        attention_mask=torch.ones_like(prompt)[None])
            rows.append(out.logits[0, -1].float())
    return torch.stack(rows)


def main():
    arguments = read_arguments()
    from safetensors.torch import load_file, save_file
    logits = compute(arguments)
    if not arguments.compiled_bitsandbytes and "bitsandbytes" in sys.modules:
        from bitsandbytes.cextension import lib
        if type(lib).__name__ not in ("ErrorHandlerMockBNBNativeLibrary", "MockBNBNativeLibrary"):
            print("note: bitsandbytes uses a compiled library; see --help")
    if arguments.out:
        save_file({"first_answer_logits": logits}, arguments.out)
    worst = 0.0
    for other in arguments.compare:
        theirs = load_file(other)["first_answer_logits"][:len(logits)].float()
        difference = float((logits - theirs).abs().max() / theirs.abs().max())
        agree = int((logits.argmax(1) == theirs.argmax(1)).sum())
        print(f"{other}: largest difference {difference:.2e} of the largest logit, "
              f"{agree} of {len(logits)} first tokens agree")
        worst = max(worst, difference)
    return 1 if worst > arguments.tolerance else 0


if __name__ == "__main__":
    sys.exit(main())
