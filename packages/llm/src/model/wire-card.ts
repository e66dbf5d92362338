/** A file that a card points to. */
export interface CardFile {
  readonly path: string;
  /** `blake3:` and 64 hex digits. */
  readonly checksum: string;
  readonly size: number;
}

/** A model card with its wire names, members in the order in which the real system writes them (spec llm 1.3). */
export interface WireCard {
  readonly display_name: string;
  readonly slug: string;
  readonly source_path: string | null;
  readonly model_info: { readonly hf_config_json: CardFile } | null;
  readonly tokenizer: { readonly hf_tokenizer_json: CardFile } | null;
  readonly prompt_formatter?: { readonly hf_tokenizer_config_json: CardFile };
  readonly chat_template_file?: { readonly hf_chat_template: { readonly is_custom: boolean; readonly file: CardFile } };
  readonly gen_config?: { readonly hf_generation_config_json: CardFile };
  readonly extra_files?: readonly CardFile[];
  readonly architectural_max_context_length?: number;
  readonly context_length: number;
  readonly kv_cache_block_size: number;
  readonly migration_limit: number;
  readonly model_type: string;
  readonly model_input: string;
  readonly worker_type: string;
  readonly needs: readonly (readonly string[])[];
  /** Only in the card of an adapter. */
  readonly lora?: { readonly name: string; readonly max_gpu_lora_count?: number };
  readonly aliases?: readonly string[];
  readonly user_data?: unknown;
  readonly runtime_config: { readonly context_length?: number } & Readonly<Record<string, unknown>>;
  readonly tensor_model_config?: unknown;
  readonly media_decoder: unknown;
  readonly media_fetcher: unknown;
  readonly router_config?: unknown;
}
