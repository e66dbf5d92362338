import { DynamoError } from '@dynamo/runtime';

const kinds = { cpu: 'cpu', host: 'cpu', cuda: 'cuda', gpu: 'cuda', xpu: 'xpu' } as const;

/** Where memory lies, read from text as `dynamo.nixl_connect` reads it (spec nixl-connect 2). */
export class Device {
  readonly kind: 'cpu' | 'cuda' | 'xpu';
  /** Number of the card; 0 for the host. */
  readonly id: number;

  /**
   * Reads `cpu`, `host`, `cuda`, `gpu:1`, `xpu:2`; case and spaces around don't matter.
   *
   * @throws DynamoError `invalid_argument` for anything else.
   */
  constructor(text: string) {
    const [, name, id] = /^(cpu|host|cuda|gpu|xpu)[^:]*(?::(.*))?$/.exec(text.trim().toLowerCase()) ?? [];
    if (name === undefined || (id !== undefined && !/^\d{1,9}$/.test(id.trim()))) {
      throw new DynamoError('invalid_argument', "Argument `metadata` must be in the format 'cuda:<device_id>', 'xpu:<device_id>', or 'cpu'.", {
        data: { field: 'device', value: text },
      });
    }
    this.kind = kinds[name as keyof typeof kinds];
    this.id = this.kind === 'cpu' ? 0 : Number(id ?? 0);
  }

  /** How a native agent calls this kind of memory. */
  get segment(): 'DRAM' | 'VRAM' {
    return this.kind === 'cpu' ? 'DRAM' : 'VRAM';
  }

  toString(): string {
    return this.kind === 'cpu' ? 'cpu' : `${this.kind}:${this.id}`;
  }
}
