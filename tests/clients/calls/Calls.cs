// Prints what the calls of the client answer, and the problems of those that are refused.

using System;
using System.Collections.Generic;
using System.Text.Json.Nodes;
using System.Threading.Tasks;
using Fulfilld;

using var erp = new Client(url: args[0]);
const string order = "a/ä 1";
var submitted = await erp.SubmitAsync("acme", order, new { state = "preparing" }, "k-1");
Console.WriteLine((await erp.TargetAsync((string)submitted["id"]!, waitSeconds: 0.01))["status"]);
var ids = new List<string>();
await foreach (var each in erp.OrdersAsync(new() { ["shop"] = "acme", ["limit"] = 2 }))
{
    ids.Add((string)each["id"]!);
}
Console.WriteLine(string.Join(", ", ids));
Console.WriteLine((await erp.OrderAsync("acme", order, new[] { "timeline" }))["timeline"]![0]!["type"]);
var page = (await erp.CallAsync("GET", "/v1/consumers/erp/events", new() { ["limit"] = 1 }))!;
Console.WriteLine((await erp.AckAsync("erp", (long)page["next"]!, (string)page["feed"]!))["cursor"]);
Console.WriteLine((await erp.SeekAsync("erp", 0))["cursor"]);
var attempts = new Func<Task<JsonNode>>[]
{
    () => erp.SeekAsync("erp", 1_000_000),
    () => erp.AckAsync("erp", 1, "another"),
    () => erp.SubmitAsync("acme", order, new { state = "shipped" }, "k-1"),
    () => erp.OrderAsync("nobody", "1"),
};
foreach (var attempt in attempts)
{
    try
    {
        Console.WriteLine(await attempt());
    }
    catch (Problem problem)
    {
        Console.WriteLine($"{problem.Status} {problem.Code} {problem.Body.ContainsKey("detail") && problem.IsFinal}");
    }
}
try
{
    using var nobody = new Client(socket: "no.sock");
    await nobody.CallAsync("GET", "/v1/health");
}
catch (Unreachable)
{
    Console.WriteLine("unreachable");
}
Console.WriteLine((await erp.CallAsync("POST", "/v1/shops/acme/pause", body: new { }))!["name"]);
var path = Client.PathOf("shops", "acme", "orders", "1", "targets");
var planned = (await erp.CallAsync("POST", path, new() { ["dry_run"] = true }, new { state = "preparing" }))!;
Console.WriteLine($"planned {planned["plan"]!.AsArray().Count > 0}");
