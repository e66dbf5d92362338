import { basename } from 'node:path';
import type { DistributedRuntime, Instance } from '@dynamo/runtime';
import type { CardFile, WireCard } from './wire-card.ts';

/** A card whose files this process hands out, until it is disposed. */
export interface SharedCard extends Disposable {
  readonly card: WireCard;
}

/**
 * Has the status server hand out a card's files and puts their URLs into the card, so that frontends on other machines need no
 * folder of their own. Without a status server, and with `DYN_SELF_HOST_METADATA` off, paths stay paths (spec llm 1.3).
 */
export function shareCard(
  runtime: DistributedRuntime,
  endpoint: Pick<Instance, 'namespace' | 'component' | 'endpoint'>,
  card: WireCard,
  env: Readonly<Record<string, string | undefined>>,
): SharedCard {
  const kept = new DisposableStack();
  if (runtime.statusUrl === undefined || isOff(env['DYN_SELF_HOST_METADATA'])) return { card, [Symbol.dispose]: () => kept.dispose() };
  const shared = new Map<string, { url: string; path: string }>();
  const share = (file: CardFile): CardFile => {
    if (/^[a-z]+:\/\//i.test(file.path)) return file;
    const name = basename(file.path);
    const present = shared.get(name);
    // Two files of one name can't both have it.
    if (present !== undefined) return present.path === file.path ? { ...file, path: present.url } : file;
    const { url, ...owned } = runtime.shareFile({ endpoint, slug: card.slug, file: name }, file.path);
    if (url === undefined) return file;
    kept.use(owned);
    shared.set(name, { url, path: file.path });
    return { ...file, path: url };
  };
  return { card: withFiles(card, share), [Symbol.dispose]: () => kept.dispose() };
}

/** The card with each of its files exchanged. */
function withFiles(card: WireCard, exchange: (file: CardFile) => CardFile): WireCard {
  const { model_info: info, tokenizer, prompt_formatter: prompt, chat_template_file: template, gen_config: generation, extra_files: extra } = card;
  return {
    ...card,
    ...(info === null ? {} : { model_info: { hf_config_json: exchange(info.hf_config_json) } }),
    ...(tokenizer === null ? {} : { tokenizer: { hf_tokenizer_json: exchange(tokenizer.hf_tokenizer_json) } }),
    ...(prompt === undefined ? {} : { prompt_formatter: { hf_tokenizer_config_json: exchange(prompt.hf_tokenizer_config_json) } }),
    ...(template === undefined
      ? {}
      : { chat_template_file: { hf_chat_template: { ...template.hf_chat_template, file: exchange(template.hf_chat_template.file) } } }),
    ...(generation === undefined ? {} : { gen_config: { hf_generation_config_json: exchange(generation.hf_generation_config_json) } }),
    ...(extra === undefined ? {} : { extra_files: extra.map(exchange) }),
  };
}

const isOff = (value: string | undefined): boolean => value !== undefined && ['0', 'false', 'no', 'off'].includes(value.trim().toLowerCase());
