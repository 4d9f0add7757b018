// The smallest ERP: books what is ordered, ships it in one box, and prints what became of it.
//
//     dotnet new console --output erp
//     cp Fulfilld.cs erp && cp Example.cs erp/Program.cs
//     FULFILLD_SOCKET=fulfilld.sock dotnet run --project erp [COUNT]
//
// ends after so many orders, for 0 when no event is left; without a count it never does. What it has done before it may
// do again: the keys are those of its own documents, so nothing happens twice.

using System;
using System.Text.Json.Nodes;
using System.Threading.Tasks;
using Fulfilld;

using var erp = new Client();
var most = args.Length > 0 ? int.Parse(args[0]) : int.MaxValue;
var ended = 0;
var types = new[] { "order.imported", "target.reached", "target.failed" };
await foreach (var seen in erp.ConsumeAsync("erp", types, isEndless: most > 0))
{
    if (await HandleAsync(seen))
    {
        ended += 1;
    }
    if (most > 0 && ended >= most)
    {
        break;
    }
}

// Does what an event calls for; whether that was the last of its order.
async Task<bool> HandleAsync(JsonNode seen)
{
    var (shop, order) = ((string)seen["shop"]!, (string)seen["order"]!);
    try
    {
        if ((string)seen["type"]! == "order.imported")
        {
            await erp.SubmitAsync(shop, order, new { state = "accepted" }, $"sale-{shop}-{order}");
            var parcel = new { number = $"B-{order}", carrier = "DHL", tracking = new[] { $"3S{order}" } };
            await erp.SubmitAsync(shop, order, new { state = "shipped", parcel }, $"box-{shop}-{order}");
            return false;
        }
        var target = await erp.TargetAsync((string)seen["target"]!);
        if ((string)target["milestone"]! != "shipped")
        {
            return false;
        }
        Console.WriteLine($"{shop} {order} {target["status"]}");
    }
    catch (Problem problem) when (problem.IsFinal)
    {
        Console.WriteLine($"{shop} {order} refused {problem.Code}");
    }
    return true;
}
