<?php

declare(strict_types=1);

/**
 * A client of fulfilld in one file: copy it into your project. PHP 8.1 or newer, without extensions.
 *
 *     $erp = new Fulfilld\Client(); // $FULFILLD_SOCKET, or $FULFILLD_URL with $FULFILLD_TOKEN
 *     $erp->submit('acme', '67890', ['state' => 'shipped'], 'delivery-note-4711');
 *     foreach ($erp->consume('erp') as $event) {
 *         // acknowledged when the loop asks for the next one
 *     }
 *
 * Answers are the daemon's JSON as arrays (docs/api.md, `/openapi.json`); ignore members that you do not know. Errors are
 * `Problem` (the daemon said no; decide by `code()`) and `Unreachable` (nobody knows what it did).
 */

namespace Fulfilld;

/** A call that was not answered with what was asked for. */
abstract class FulfilldException extends \RuntimeException
{
    public ?int $retryAfterSeconds = null;

    /** Whether the same call would be refused again; otherwise it is to be made again later. */
    abstract public function isFinal(): bool;
}

/** There was no answer, or only a part of one: what was asked for may have been done or not. */
final class Unreachable extends FulfilldException
{
    public function isFinal(): bool
    {
        return false;
    }
}

/** The daemon's refusal. `body` has all its members (`allowed`, `errors`, `reason`). */
final class Problem extends FulfilldException
{
    public function __construct(public readonly int $status, public readonly array $body, ?int $retryAfterSeconds = null)
    {
        $this->retryAfterSeconds = $retryAfterSeconds;
        parent::__construct($this->code() . ': ' . ($body['detail'] ?? $body['title'] ?? 'no details'));
    }

    /** Its `type`, a stable word. */
    public function code(): string
    {
        return (string) ($this->body['type'] ?? "http-{$this->status}");
    }

    public function isFinal(): bool
    {
        return $this->status < 500;
    }
}

/** One daemon, by its socket or URL; without either by the environment. Calls throw Problem and Unreachable. */
final class Client
{
    /** How long an answer may take beyond what the daemon was asked to wait: it may have to read from a platform. */
    private const CALL_SECONDS = 90.0;
    private const FIRST_PAUSE_SECONDS = 0.5;
    private const LONGEST_PAUSE_SECONDS = 30.0;

    private readonly string $remote;
    private readonly string $host;
    private readonly string $prefix;
    private readonly ?string $token;

    public function __construct(?string $socket = null, ?string $url = null, #[\SensitiveParameter] ?string $token = null)
    {
        if ($socket === null && $url === null) {
            $socket = getenv('FULFILLD_SOCKET') ?: null;
            $url = getenv('FULFILLD_URL') ?: null;
        }
        if ($socket !== null) {
            [$this->remote, $this->host, $this->prefix, $this->token] = ["unix://{$socket}", 'localhost', '', null];
            return;
        }
        $parts = $url === null ? [] : parse_url($url);
        $scheme = $parts['scheme'] ?? '';
        if (!isset($parts['host']) || !in_array($scheme, ['http', 'https'], true)) {
            $wrong = $url === null ? 'no address of the daemon' : "{$url} is no address of a daemon";
            throw new \InvalidArgumentException("{$wrong}; set FULFILLD_SOCKET, or FULFILLD_URL and FULFILLD_TOKEN");
        }
        $port = $parts['port'] ?? ($scheme === 'https' ? 443 : 80);
        $this->host = "{$parts['host']}:{$port}";
        $this->remote = ($scheme === 'https' ? 'tls' : 'tcp') . "://{$this->host}";
        $this->prefix = rtrim($parts['path'] ?? '', '/');
        $this->token = $token ?? (getenv('FULFILLD_TOKEN') ?: null);
    }

    /**
     * Submits a target and answers with it.
     *
     * `$key`: the number of what the ERP booked, such as its delivery note; it is what makes a repetition harmless, so
     * keep it with the target before this is called. An answer that is lost and a 503 have the same key sent again until
     * the patience ends; the last error is thrown then, and the same key is right later, too.
     */
    public function submit(
        string $shop,
        string $order,
        array $target,
        string $key,
        float $waitSeconds = 0,
        float $patienceSeconds = 60,
    ): array {
        $path = self::path('shops', $shop, 'orders', $order, 'targets');
        return $this->insist('POST', $path, ['wait' => $waitSeconds ?: null], $target, $key, $patienceSeconds);
    }

    /** A target; waits until it is reached, blocked or ended, at most so long. */
    public function target(string $target, float $waitSeconds = 0): array
    {
        return $this->call('GET', self::path('targets', $target), ['wait' => $waitSeconds ?: null]);
    }

    /** An order, with `payload`, `content` or `timeline` if you like. */
    public function order(string $shop, string $order, array $include = []): array
    {
        $query = ['include' => implode(',', $include) ?: null];
        return $this->call('GET', self::path('shops', $shop, 'orders', $order), $query);
    }

    /** All orders that the filters of `GET /v1/orders` let through, page by page. */
    public function orders(array $filters = []): \Generator
    {
        do {
            $page = $this->call('GET', self::path('orders'), $filters);
            foreach ($page['orders'] as $order) {
                yield $order;
            }
            $filters['after'] = $page['next'];
        } while ($page['next'] !== null);
    }

    /**
     * The events for a consumer whose cursor the daemon keeps.
     *
     * An event is acknowledged when the next one is asked for; who leaves the loop or dies before gets it again, so
     * handle each by a key of its own. A daemon that is away is waited for. `$isEndless` false ends as soon as nothing
     * is left, for programs that are started again and again.
     */
    public function consume(
        string $name,
        array $types = [],
        ?string $shop = null,
        array $include = [],
        int $limit = 100,
        float $waitSeconds = 60,
        bool $isEndless = true,
    ): \Generator {
        $query = [
            'type' => implode(',', $types) ?: null,
            'shop' => $shop,
            'include' => implode(',', $include) ?: null,
            'limit' => $limit,
            'wait' => $isEndless && $waitSeconds ? $waitSeconds : null,
        ];
        $passed = null;
        do {
            $page = $this->insist('GET', self::path('consumers', $name, 'events'), $query, patienceSeconds: INF);
            try {
                foreach ($page['events'] as $event) {
                    yield $event;
                    $this->ack($name, $passed = $event['cursor'], $page['feed'], INF);
                }
                if ($page['next'] !== $passed) { // filters left events out
                    $this->ack($name, $passed = $page['next'], $page['feed'], INF);
                }
            } catch (Problem $problem) {
                if ($problem->code() !== 'cursor-ahead') { // the store was restored meanwhile: go on where its cursor is
                    throw $problem;
                }
            }
        } while ($isEndless || $page['events'] !== []);
    }

    /** Acknowledges all events up to a cursor. */
    public function ack(string $name, int $cursor, ?string $feed = null, float $patienceSeconds = 60): array
    {
        $body = ['cursor' => $cursor, 'feed' => $feed];
        return $this->insist('POST', self::path('consumers', $name, 'ack'), [], $body, null, $patienceSeconds);
    }

    /** Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning. */
    public function seek(string $name, int $cursor): array
    {
        return $this->insist('POST', self::path('consumers', $name, 'seek'), [], ['cursor' => $cursor]);
    }

    /** `call`, made again while the daemon is away or busy: for reads, and for what has a key or may be repeated. */
    public function insist(
        string $method,
        string $path,
        array $query = [],
        ?array $body = null,
        ?string $key = null,
        float $patienceSeconds = 60,
    ): mixed {
        $until = microtime(true) + $patienceSeconds;
        for ($pause = self::FIRST_PAUSE_SECONDS; ; $pause = min($pause * 2, self::LONGEST_PAUSE_SECONDS)) {
            try {
                return $this->call($method, $path, $query, $body, $key);
            } catch (FulfilldException $error) {
                $seconds = $error->retryAfterSeconds ?? $pause;
                if ($error->isFinal() || microtime(true) + $seconds > $until) {
                    throw $error;
                }
                error_log("fulfilld: {$error->getMessage()}; again in {$seconds} s");
            }
            usleep((int) ($seconds * 1_000_000));
        }
    }

    /** One call, once, and the JSON that it is answered with: for all that has no method here. */
    public function call(
        string $method,
        string $path,
        array $query = [],
        ?array $body = null,
        ?string $key = null,
    ): mixed {
        $headers = ["Host: {$this->host}", 'Connection: close', 'Accept: application/json'];
        if ($this->token !== null) {
            $headers[] = "Authorization: Bearer {$this->token}";
        }
        if ($key !== null) {
            $headers[] = "Idempotency-Key: {$key}";
        }
        if (preg_grep('/[^ -~]/', $headers)) {
            throw new \InvalidArgumentException('a key or token has characters that no header can carry');
        }
        $data = $body === null ? '' : json_encode($body ?: new \stdClass(), JSON_THROW_ON_ERROR);
        if ($body !== null) {
            $headers[] = 'Content-Type: application/json';
        }
        if ($method !== 'GET') {
            $headers[] = 'Content-Length: ' . strlen($data);
        }
        $words = array_map(static fn ($value) => is_bool($value) ? var_export($value, true) : $value, $query);
        $given = http_build_query(array_filter($words, static fn ($value) => $value !== null));
        $target = $this->prefix . $path . ($given === '' ? '' : "?{$given}");
        $request = "{$method} {$target} HTTP/1.1\r\n" . implode("\r\n", $headers) . "\r\n\r\n{$data}";
        return self::answer($this->exchange($request, self::CALL_SECONDS + (float) ($query['wait'] ?? 0)));
    }

    /** A path of the API from its segments, whatever characters an id has. */
    public static function path(string ...$segments): string
    {
        return '/v1/' . implode('/', array_map('rawurlencode', $segments));
    }

    /** All that the daemon sends until it closes the connection, as it is asked to after one answer. */
    private function exchange(string $request, float $seconds): string
    {
        $connection = @stream_socket_client($this->remote, $number, $why, $seconds);
        if ($connection === false) {
            throw new Unreachable("no daemon at {$this->remote}: {$why}");
        }
        try {
            stream_set_timeout($connection, (int) $seconds);
            for ($rest = $request; $rest !== ''; $rest = substr($rest, $written)) {
                $written = @fwrite($connection, $rest);
                if ($written === false || $written === 0) {
                    break; // it reads no further; its answer may say why
                }
            }
            return (string) stream_get_contents($connection);
        } finally {
            fclose($connection);
        }
    }

    /** The JSON of an answer. Throws Problem for a refusal, Unreachable when it is cut or not the daemon's. */
    private static function answer(string $text): mixed
    {
        [$head, $content] = explode("\r\n\r\n", $text, 2) + ['', ''];
        if (!preg_match('~^HTTP/1\.[01] (\d{3}) ?([^\r]*)~', $head, $start)) {
            throw new Unreachable('the connection to the daemon ended without an answer');
        }
        $header = static fn (string $name) => preg_match("/^{$name}:\s*(.*?)\s*$/mi", $head, $found) ? $found[1] : null;
        $content = $header('Transfer-Encoding') === 'chunked' ? self::dechunked($content) : $content;
        $is_whole = $content !== null && strlen($content) >= (int) $header('Content-Length');
        $body = json_decode($content ?? '', true, 512, JSON_BIGINT_AS_STRING);
        if ((int) $start[1] >= 300) {
            $seconds = $header('Retry-After');
            $known = is_array($body) ? $body : ['detail' => $start[2]];
            throw new Problem((int) $start[1], $known, ctype_digit((string) $seconds) ? (int) $seconds : null);
        }
        if (!$is_whole || (json_last_error() !== JSON_ERROR_NONE && $content !== '')) {
            throw new Unreachable("the daemon's answer is incomplete or not JSON");
        }
        return $body;
    }

    /** The content of a chunked answer, null when it is cut. */
    private static function dechunked(string $text): ?string
    {
        $content = '';
        while (preg_match('/^([0-9a-f]+)[^\r]*\r\n/i', $text, $size)) {
            $length = (int) hexdec($size[1]);
            $text = substr($text, strlen($size[0]));
            if ($length === 0) {
                return $content;
            }
            if (strlen($text) < $length + 2) {
                return null;
            }
            $content .= substr($text, 0, $length);
            $text = substr($text, $length + 2);
        }
        return null;
    }
}
