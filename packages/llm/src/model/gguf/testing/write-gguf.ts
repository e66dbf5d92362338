/** A value with its GGUF type. */
export type Typed =
  | ['u32', number]
  | ['f32', number]
  | ['bool', boolean]
  | ['string', string]
  | ['strings', readonly string[]]
  | ['i32s', readonly number[]];

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function encode([type, value]: Typed): Buffer {
  switch (type) {
    case 'u32':
      return Buffer.concat([u32(4), u32(value)]);
    case 'f32': {
      const bytes = Buffer.alloc(4);
      bytes.writeFloatLE(value);
      return Buffer.concat([u32(6), bytes]);
    }
    case 'bool':
      return Buffer.concat([u32(7), Buffer.of(value ? 1 : 0)]);
    case 'string':
      return Buffer.concat([u32(8), text(value)]);
    case 'strings':
      return Buffer.concat([u32(9), u32(8), u64(value.length), ...value.map(text)]);
    case 'i32s':
      return Buffer.concat([u32(9), u32(5), u64(value.length), ...value.map(u32)]);
  }
}

/** A GGUF file with one 32-bit tensor of `weights` values. */
export function ggufBytes(metadata: Readonly<Record<string, Typed>>, { version = 3, weights = 8 } = {}): Buffer {
  const entries = Object.entries(metadata).map(([key, value]) => Buffer.concat([text(key), encode(value)]));
  const tensor = Buffer.concat([text('output.weight'), u32(1), u64(weights), u32(0), u64(0)]);
  const header = Buffer.concat([Buffer.from('GGUF'), u32(version), u64(1), u64(entries.length), ...entries, tensor]);
  return Buffer.concat([header, Buffer.alloc(Math.ceil(header.length / 32) * 32 - header.length), Buffer.alloc(weights * 4)]);
}

/** Metadata of a small chat model: a letter a token, one merge, three special tokens. */
export function smallModel(): Record<string, Typed> {
  const letters = [...'abcdefghijklmnopqrstuvwxyz', 'Ġ', 'he'];
  const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
  return {
    'general.architecture': ['string', 'llama'],
    'llama.context_length': ['u32', 2048],
    'llama.block_count': ['u32', 2],
    'llama.embedding_length': ['u32', 64],
    'llama.attention.head_count': ['u32', 4],
    'llama.attention.head_count_kv': ['u32', 2],
    'tokenizer.ggml.model': ['string', 'gpt2'],
    'tokenizer.ggml.pre': ['string', 'smollm'],
    'tokenizer.ggml.tokens': ['strings', [...special, ...letters]],
    'tokenizer.ggml.token_type': ['i32s', [...special.map(() => 3), ...letters.map(() => 1)]],
    'tokenizer.ggml.merges': ['strings', ['h e']],
    'tokenizer.ggml.bos_token_id': ['u32', 1],
    'tokenizer.ggml.eos_token_id': ['u32', 2],
    'tokenizer.chat_template': ['string', '{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}'],
  };
}
