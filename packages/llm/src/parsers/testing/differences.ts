/** Where we differ from 1.6.1 on purpose: docs/decisions/2026-11-25-parsers-that-stream-only.md tells why. */
export interface Difference {
  readonly reason: string;
  /** Which of the captured chunkings have it. */
  readonly chunkings: readonly ('whole' | 'per_token')[];
  /** `file/case` of the vectors concerned. */
  readonly vectors: RegExp;
}

const both = ['whole', 'per_token'] as const;

export const differences: readonly Difference[] = [
  {
    reason: 'tool parser names that 1.6.1 knows and reads nothing with',
    chunkings: both,
    vectors:
      /^tool_(deepseek_v41|glm45|kimi_k25|qwen3)\/(single|text_before|text_after|two_calls|empty_args|unknown_tool|truncated|garbage_inside)$|^both_(glm45\+glm45|qwen3\+qwen3)\/(reason_then_tool|reason_text_tool|reason_two_tools)$|^both_kimi_k25\+kimi_k25\/(reason_then_tool|reason_text_tool|tool_inside_reasoning|reason_two_tools|unterminated_reason_tool)$/,
  },
  {
    reason: 'a harmony call behind the first, and one whose recipient stands with the role',
    chunkings: both,
    vectors: /^gptoss_harmony(\+gpt_oss|_tool_only)\/two_tools$|^gptoss_harmony\+gpt_oss\/role_recipient_form$/,
  },
  {
    reason: 'an answer without any channel or marker, which 1.6.1 drops',
    chunkings: both,
    vectors: /^gptoss_harmony\+gpt_oss\/plain_text$|^reasoning_inkling\/(plain|enable_thinking_false)$|^reasoning_minimax[-_]m3\/plain$/,
  },
  { reason: 'the thought before a demanded call, which 1.6.1 drops', chunkings: both, vectors: /^both_muse\+muse\/reason_then_required_json$/ },
  {
    reason: 'harmony markers that 1.6.1 strips from whole answers and not from streams',
    chunkings: both,
    vectors: /^gptoss_harmony_tool_only\/(final_only|analysis_final)$/,
  },
  { reason: 'a call that is cut off, dropped from whole answers and not from streams', chunkings: both, vectors: /^tool_default\/truncated$/ },
  {
    reason: 'white space between two calls is no text, token by token either',
    chunkings: ['per_token'],
    vectors:
      /^tool_(glm47|hermes|qwen25|qwen3_coder|nemotron_nano)\/two_calls$|^both_(glm47\+glm45|hermes\+qwen3|qwen3_coder\+qwen3)\/reason_two_tools$/,
  },
  {
    reason: 'closing markers and separators are no text, token by token either',
    chunkings: ['per_token'],
    vectors: /^tool_default\/(single|text_before|text_after|two_calls|empty_args|unknown_tool)$|^tool_llama3_json\/two_calls$/,
  },
  { reason: 'an opening marker token by token', chunkings: ['per_token'], vectors: /^thinking_switch_mistral\/effort_high_full$/ },
  {
    reason: 'a thought that the prompt has opened, token by token too',
    chunkings: ['per_token'],
    vectors: /^reasoning_kimi[-_]k3\/template_injected_open$/,
  },
  {
    reason: 'text before, between and behind calls, whole too',
    chunkings: ['whole'],
    vectors:
      /^tool_(jamba|llama3_json|pythonic)\/text_after$|^tool_pythonic\/text_before$|^tool_inkling\/two_calls$|^tool_phi4\/plain_text$|^both_mistral\+mistral\/tool_inside_reasoning$/,
  },
  {
    reason: 'text around thoughts as it stands there, whole too',
    chunkings: ['whole'],
    vectors: /^reasoning_granite\/(no_open|text_before|two_blocks|template_injected_open)$|^thinking_switch_granite\/.*_no_open$/,
  },
  {
    reason: 'an opening marker in a thought, and a closing one outside, are no text, whole too',
    chunkings: ['whole'],
    vectors:
      /^reasoning_(deepseek_r1|deepseek_v3_2|kimi_k25|minimax_m2|nemotron_nano|step3)\/text_before$|^both_minimax_m2\+minimax_m2\/tool_inside_reasoning$/,
  },
  {
    reason: 'a closing marker alone can be no reason to take back what was shown',
    chunkings: ['whole'],
    vectors: /^reasoning_kimi[-_]k3\/no_open$/,
  },
  {
    reason: 'the beginning of a marker at the end of an answer is kept, whole too',
    chunkings: ['whole'],
    vectors:
      /^reasoning_(basic|deepseek_r1|deepseek_v3_2|deepseek_v41|glm45|glm47|kimi_k2|nemotron_deci|nemotron_nano|qwen3|qwen3_coder|step3)\/partial_marker_at_end$/,
  },
  {
    reason: 'calls that 1.6.1 drops: several in one marker, one that holds the closing marker in a text, one without its message mark',
    chunkings: both,
    vectors: /^more_hermes\/(two in one|marker in string)$|^more_inkling\+inkling\/no message$/,
  },
  { reason: 'a JSON object with a name that is no function’s is an answer', chunkings: both, vectors: /^more_hermes\/bare name only$/ },
  { reason: 'a call in text, whole too', chunkings: ['whole'], vectors: /^more_hermes\/bare in text$/ },
  { reason: 'arguments of a demanded call come as far as they came', chunkings: both, vectors: /^more_hermes\/named (cut|trailing)$/ },
  { reason: 'separators are no text', chunkings: ['per_token'], vectors: /^more_llama3_json\/spaced$/ },
  {
    reason: 'opening and closing markers are no text, whole too',
    chunkings: ['whole'],
    vectors:
      /^more_hermes\+(deepseek_r1|deepseek_v3_2|kimi_k25|minimax_m2|nemotron_nano|step3)\/end open$|^more_deepseek_v4\+deepseek_v4\/in thought$/,
  },
  { reason: 'text around a thought that stands where none can, which 1.6.1 drops', chunkings: both, vectors: /^more_inkling\+inkling\/think call$/ },
  {
    reason: 'the channels of muse without its tool parser, which 1.6.1 does not read once tools are given',
    chunkings: both,
    vectors: /^more_hermes\+muse\/reasoning only call$/,
  },
];
