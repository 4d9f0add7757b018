// A client of fulfilld in one file: copy it into your project. .NET 8 or newer, without packages.
//
//     using var erp = new Client(); // $FULFILLD_SOCKET, or $FULFILLD_URL with $FULFILLD_TOKEN
//     await erp.SubmitAsync("acme", "67890", new { state = "shipped" }, "delivery-note-4711");
//     await foreach (var seen in erp.ConsumeAsync("erp"))
//     {
//         // acknowledged when the loop asks for the next one
//     }
//
// Answers are the daemon's JSON as it comes (docs/api.md, `/openapi.json`); ignore members that you do not know. Errors are
// `Problem` (the daemon said no; decide by `Code`) and `Unreachable` (nobody knows what it did).

#nullable enable

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.Http;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Threading;
using System.Threading.Tasks;

namespace Fulfilld;

/// <summary>A call that was not answered with what was asked for.</summary>
public abstract class FulfilldException : Exception
{
    private protected FulfilldException(string message, Exception? cause = null) : base(message, cause)
    {
    }

    /// <summary>When the daemon wants to be asked again; null where it does not say.</summary>
    public double? RetryAfterSeconds { get; private protected init; }

    /// <summary>Whether the same call would be refused again; otherwise it is to be made again later.</summary>
    public abstract bool IsFinal { get; }
}

/// <summary>There was no answer, or only a part of one: what was asked for may have been done or not.</summary>
public sealed class Unreachable : FulfilldException
{
    internal Unreachable(string message, Exception? cause = null) : base(message, cause)
    {
    }

    /// <inheritdoc/>
    public override bool IsFinal => false;
}

/// <summary>The daemon's refusal.</summary>
public sealed class Problem : FulfilldException
{
    internal Problem(int status, JsonObject body, double? retryAfterSeconds)
        : base($"{CodeOf(status, body)}: {body["detail"] ?? body["title"] ?? "no details"}")
    {
        Status = status;
        Body = body;
        RetryAfterSeconds = retryAfterSeconds;
    }

    /// <summary>The HTTP status.</summary>
    public int Status { get; }

    /// <summary>All its members (<c>allowed</c>, <c>errors</c>, <c>reason</c>).</summary>
    public JsonObject Body { get; }

    /// <summary>Its <c>type</c>, a stable word.</summary>
    public string Code => CodeOf(Status, Body);

    /// <inheritdoc/>
    public override bool IsFinal => Status < 500;

    private static string CodeOf(int status, JsonObject body) => body["type"]?.ToString() ?? $"http-{status}";
}

/// <summary>
/// One daemon, by its socket or URL; without either by the environment. Calls throw <see cref="Problem"/> and
/// <see cref="Unreachable"/>. No connection is kept open, and threads may share a client.
/// </summary>
public sealed class Client : IDisposable
{
    /// <summary>How long an answer may take beyond what the daemon was asked to wait: it may have to read from a platform.</summary>
    private const double CallSeconds = 90;
    private const double FirstPauseSeconds = 0.5;
    private const double LongestPauseSeconds = 30;

    private static readonly JsonSerializerOptions Options = new() { Converters = { new DecimalsAsText() } };

    private readonly HttpClient _http;
    private readonly string _place;
    private readonly string _url;
    private readonly string? _token;
    private readonly Action<string> _warn;

    /// <param name="socket">The path of the daemon's Unix socket.</param>
    /// <param name="url">Or its URL: <c>http://127.0.0.1:8440</c>.</param>
    /// <param name="token">The token of <c>api.tcp</c>, for a URL.</param>
    /// <param name="warn">Is given a sentence before each further try; without it, standard error is.</param>
    /// <exception cref="ArgumentException">Neither the arguments nor the environment name a daemon.</exception>
    public Client(string? socket = null, string? url = null, string? token = null, Action<string>? warn = null)
    {
        if (socket is null && url is null)
        {
            socket = Variable("FULFILLD_SOCKET");
            url = Variable("FULFILLD_URL");
        }
        var handler = new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false };
        if (socket is not null)
        {
            (_place, _url) = (socket, "http://localhost");
            var end = new UnixDomainSocketEndPoint(socket);
            handler.ConnectCallback = (_, cancel) => ConnectAsync(end, cancel);
        }
        else if (Uri.TryCreate(url, UriKind.Absolute, out var parts) && parts.Scheme is "http" or "https")
        {
            (_place, _url) = (url, parts.GetLeftPart(UriPartial.Path).TrimEnd('/'));
            _token = token ?? Variable("FULFILLD_TOKEN");
        }
        else
        {
            var wrong = url is null ? "no address of the daemon" : $"{url} is no address of a daemon";
            throw new ArgumentException($"{wrong}; set FULFILLD_SOCKET, or FULFILLD_URL and FULFILLD_TOKEN");
        }
        _http = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        _warn = warn ?? Console.Error.WriteLine;
    }

    /// <summary>Submits a target and answers with it.</summary>
    /// <param name="target">What becomes JSON: an anonymous object, a record, a <see cref="JsonObject"/>.</param>
    /// <param name="key">
    /// The number of what the ERP booked, such as its delivery note; it is what makes a repetition harmless, so keep it with
    /// the target before this is called. An answer that is lost and a 503 have the same key sent again until the patience
    /// ends; the last error is thrown then, and the same key is right later, too.
    /// </param>
    public async Task<JsonNode> SubmitAsync(
        string shop,
        string order,
        object target,
        string key,
        double waitSeconds = 0,
        double patienceSeconds = 60,
        CancellationToken cancel = default)
    {
        var path = PathOf("shops", shop, "orders", order, "targets");
        var answer = await InsistAsync("POST", path, WaitOf(waitSeconds), target, key, patienceSeconds, cancel)
            .ConfigureAwait(false);
        return answer!;
    }

    /// <summary>A target; waits until it is reached, blocked or ended, at most so long.</summary>
    public async Task<JsonNode> TargetAsync(string target, double waitSeconds = 0, CancellationToken cancel = default)
    {
        var path = PathOf("targets", target);
        return (await CallAsync("GET", path, WaitOf(waitSeconds), cancel: cancel).ConfigureAwait(false))!;
    }

    /// <summary>An order, with <c>payload</c>, <c>content</c> or <c>timeline</c> if you like.</summary>
    public async Task<JsonNode> OrderAsync(
        string shop, string order, IEnumerable<string>? include = null, CancellationToken cancel = default)
    {
        var query = new Dictionary<string, object?> { ["include"] = Joined(include) };
        return (await CallAsync("GET", PathOf("shops", shop, "orders", order), query, cancel: cancel).ConfigureAwait(false))!;
    }

    /// <summary>All orders that the filters of <c>GET /v1/orders</c> let through, page by page.</summary>
    public async IAsyncEnumerable<JsonNode> OrdersAsync(
        Dictionary<string, object?>? filters = null, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var query = new Dictionary<string, object?>(filters ?? new());
        do
        {
            var page = (await CallAsync("GET", PathOf("orders"), query, cancel: cancel).ConfigureAwait(false))!;
            foreach (var order in page["orders"]!.AsArray())
            {
                yield return order!;
            }
            query["after"] = page["next"];
        }
        while (query["after"] is not null);
    }

    /// <summary>
    /// The events for a consumer whose cursor the daemon keeps.
    ///
    /// An event is acknowledged when the next one is asked for; who leaves the loop or dies before gets it again, so handle
    /// each by a key of its own. A daemon that is away is waited for. <paramref name="isEndless"/> false ends as soon as
    /// nothing is left, for programs that are started again and again.
    /// </summary>
    public async IAsyncEnumerable<JsonNode> ConsumeAsync(
        string name,
        IEnumerable<string>? types = null,
        string? shop = null,
        IEnumerable<string>? include = null,
        int limit = 100,
        double waitSeconds = 60,
        bool isEndless = true,
        [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var path = PathOf("consumers", name, "events");
        var query = WaitOf(isEndless ? waitSeconds : 0);
        query["type"] = Joined(types);
        query["shop"] = shop;
        query["include"] = Joined(include);
        query["limit"] = limit;
        long? passed = null;
        JsonArray events;
        do
        {
            var page = (await InsistAsync("GET", path, query, null, null, double.PositiveInfinity, cancel)
                .ConfigureAwait(false))!;
            var feed = (string)page["feed"]!;
            var isSame = true;
            events = page["events"]!.AsArray();
            foreach (var seen in events)
            {
                yield return seen!;
                passed = (long)seen!["cursor"]!;
                isSame = await PassAsync(name, passed.Value, feed, cancel).ConfigureAwait(false);
                if (!isSame)
                {
                    break;
                }
            }
            var next = (long)page["next"]!;
            if (isSame && next != passed) // filters left events out
            {
                passed = next;
                await PassAsync(name, next, feed, cancel).ConfigureAwait(false);
            }
        }
        while (isEndless || events.Count > 0);
    }

    /// <summary>Acknowledges all events up to a cursor.</summary>
    public async Task<JsonNode> AckAsync(
        string name, long cursor, string? feed = null, double patienceSeconds = 60, CancellationToken cancel = default)
    {
        var path = PathOf("consumers", name, "ack");
        var answer = await InsistAsync("POST", path, null, new { cursor, feed }, null, patienceSeconds, cancel)
            .ConfigureAwait(false);
        return answer!;
    }

    /// <summary>Has a consumer go on behind a cursor, back as well as forward; 0 is the beginning.</summary>
    public async Task<JsonNode> SeekAsync(string name, long cursor, CancellationToken cancel = default)
    {
        var path = PathOf("consumers", name, "seek");
        return (await InsistAsync("POST", path, null, new { cursor }, cancel: cancel).ConfigureAwait(false))!;
    }

    /// <summary>
    /// <see cref="CallAsync"/>, made again while the daemon is away or busy: for reads, and for what has a key or may be
    /// repeated.
    /// </summary>
    public async Task<JsonNode?> InsistAsync(
        string method,
        string path,
        Dictionary<string, object?>? query = null,
        object? body = null,
        string? key = null,
        double patienceSeconds = 60,
        CancellationToken cancel = default)
    {
        var passed = Stopwatch.StartNew();
        for (var pause = FirstPauseSeconds; ; pause = Math.Min(pause * 2, LongestPauseSeconds))
        {
            double seconds;
            try
            {
                return await CallAsync(method, path, query, body, key, cancel).ConfigureAwait(false);
            }
            catch (FulfilldException error) when (!error.IsFinal)
            {
                seconds = error.RetryAfterSeconds ?? pause;
                if (passed.Elapsed.TotalSeconds + seconds > patienceSeconds)
                {
                    throw;
                }
                _warn(FormattableString.Invariant($"fulfilld: {error.Message}; again in {seconds} s"));
            }
            await Task.Delay(TimeSpan.FromSeconds(seconds), cancel).ConfigureAwait(false);
        }
    }

    /// <summary>One call, once, and the JSON that it is answered with: for all that has no method here.</summary>
    /// <param name="path">Percent-encoded already (<see cref="PathOf"/>).</param>
    /// <param name="query">Null in it is left out.</param>
    /// <param name="body">What becomes JSON; decimals become text, which keeps their digits.</param>
    public async Task<JsonNode?> CallAsync(
        string method,
        string path,
        Dictionary<string, object?>? query = null,
        object? body = null,
        string? key = null,
        CancellationToken cancel = default)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), TargetOf(path, query));
        request.Headers.ConnectionClose = true;
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        if (_token is not null)
        {
            request.Headers.Add("Authorization", $"Bearer {Printable(_token)}");
        }
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", Printable(key));
        }
        if (body is not null)
        {
            request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body, body.GetType(), Options));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        var seconds = CallSeconds + Convert.ToDouble(query?.GetValueOrDefault("wait") ?? 0, CultureInfo.InvariantCulture);
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        end.CancelAfter(TimeSpan.FromSeconds(seconds));
        try
        {
            const HttpCompletionOption untilHeaders = HttpCompletionOption.ResponseHeadersRead;
            using var response = await _http.SendAsync(request, untilHeaders, end.Token).ConfigureAwait(false);
            return await AnswerOfAsync(response, end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new Unreachable(FormattableString.Invariant($"no answer from {_place} within {seconds} s"), error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new Unreachable($"no answer from {_place}: {(error.InnerException ?? error).Message}", error);
        }
    }

    /// <summary>A path of the API from its segments, whatever characters an id has.</summary>
    public static string PathOf(params string[] segments) => "/v1/" + string.Join('/', segments.Select(Uri.EscapeDataString));

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>The JSON of an answer. Throws Problem for a refusal, Unreachable when it is not the daemon's.</summary>
    private static async Task<JsonNode?> AnswerOfAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        var isRefused = (int)response.StatusCode >= 300;
        JsonNode? body = null;
        try
        {
            var text = await response.Content.ReadAsByteArrayAsync(cancel).ConfigureAwait(false);
            body = text.Length == 0 ? null : JsonNode.Parse(text);
        }
        catch (JsonException error) when (!isRefused)
        {
            throw new Unreachable("the daemon's answer is not JSON", error);
        }
        catch (Exception error) when (isRefused && error is JsonException or HttpRequestException or IOException)
        {
            // its status says enough
        }
        if (isRefused)
        {
            var known = body as JsonObject ?? new JsonObject { ["detail"] = response.ReasonPhrase };
            throw new Problem((int)response.StatusCode, known, response.Headers.RetryAfter?.Delta?.TotalSeconds);
        }
        return body;
    }

    /// <summary>True when it is acknowledged; false when the store was restored meanwhile: go on where its cursor is.</summary>
    private async Task<bool> PassAsync(string name, long cursor, string feed, CancellationToken cancel)
    {
        try
        {
            await AckAsync(name, cursor, feed, double.PositiveInfinity, cancel).ConfigureAwait(false);
            return true;
        }
        catch (Problem problem) when (problem.Code == "cursor-ahead")
        {
            return false;
        }
    }

    /// <summary>The URL as it is: what .NET makes of dots and escapes in a path would name another order.</summary>
    private Uri TargetOf(string path, Dictionary<string, object?>? query)
    {
        var given = (query ?? new()).Where(each => each.Value is not null)
            .Select(each => $"{Uri.EscapeDataString(each.Key)}={Uri.EscapeDataString(TextOf(each.Value!))}").ToList();
        var exact = new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true };
        return new Uri(_url + path + (given.Count == 0 ? "" : "?" + string.Join('&', given)), exact);
    }

    private static string TextOf(object value) =>
        value is bool isSet ? (isSet ? "true" : "false") : Convert.ToString(value, CultureInfo.InvariantCulture)!;

    private static Dictionary<string, object?> WaitOf(double seconds) => new() { ["wait"] = seconds > 0 ? seconds : null };

    private static string? Joined(IEnumerable<string>? words) => words?.Any() == true ? string.Join(',', words) : null;

    private static string? Variable(string name) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;

    private static string Printable(string value) => value.All(each => each is >= ' ' and <= '~')
        ? value
        : throw new ArgumentException("a key or token has characters that no header can carry");

    private static async ValueTask<Stream> ConnectAsync(UnixDomainSocketEndPoint end, CancellationToken cancel)
    {
        var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await connection.ConnectAsync(end, cancel).ConfigureAwait(false);
            return new NetworkStream(connection, ownsSocket: true);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>Quantities as ERPs have them: the API takes decimals as text.</summary>
    private sealed class DecimalsAsText : JsonConverter<decimal>
    {
        public override decimal Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, decimal value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.ToString(CultureInfo.InvariantCulture));
    }
}
