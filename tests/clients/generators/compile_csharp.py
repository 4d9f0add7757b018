"""Compiles a program in C# by Roslyn, with nullable references and every warning an error.

    python compile_csharp.py ROSLYN_FOLDER PROGRAM.dll SOURCE...

Run by the Python of `make generators`, whose packages bring .NET without its SDK: the runtime alone is on PyPI, and the
compiler is a part of an npm package. `dotnet PROGRAM.dll` runs what comes out.
"""

import json
import sys
from pathlib import Path

import clr_loader
import dnv.net
import pythonnet

roslyn, program, *sources = map(Path, sys.argv[1:])
runtime = Path(next(iter(dnv.net.__path__))) / "runtime" / ".net"
framework = {"name": "Microsoft.NETCore.App", "version": "8.0.0"}
settings = program.with_suffix(".runtimeconfig.json")
# Machines without ICU's libraries run it, too.
properties = {"System.Globalization.Invariant": True}
settings.write_text(json.dumps({"runtimeOptions": {"framework": framework, "configProperties": properties}}))
pythonnet.set_runtime(clr_loader.get_coreclr(runtime_config=str(settings), dotnet_root=str(runtime)))

import clr  # noqa: E402 it and what follows are there once a runtime is

clr.AddReference(str(roslyn / "Microsoft.CodeAnalysis"))
clr.AddReference(str(roslyn / "Microsoft.CodeAnalysis.CSharp"))

from Microsoft.CodeAnalysis import (  # noqa: E402
    MetadataReference,
    NullableContextOptions,
    OutputKind,
    ReportDiagnostic,
    SyntaxTree,
)
from Microsoft.CodeAnalysis.CSharp import CSharpCompilation, CSharpCompilationOptions, CSharpSyntaxTree  # noqa: E402
from System.Collections.Generic import List  # noqa: E402
from System.IO import File  # noqa: E402

trees = List[SyntaxTree]()
for source in sources:
    trees.Add(CSharpSyntaxTree.ParseText(source.read_text("utf-8"), path=source.name))
references = List[MetadataReference]()
for pattern in ("System*.dll", "netstandard.dll"):
    for library in runtime.glob(f"shared/Microsoft.NETCore.App/*/{pattern}"):
        references.Add(MetadataReference.CreateFromFile(str(library)))
options = (
    CSharpCompilationOptions(OutputKind.ConsoleApplication)
    .WithNullableContextOptions(NullableContextOptions.Enable)
    .WithGeneralDiagnosticOption(ReportDiagnostic.Error)
)
file = File.Create(str(program))
result = CSharpCompilation.Create(program.stem, trees, references, options).Emit(file)
file.Close()
for each in result.Diagnostics:
    print(each.ToString())
sys.exit(not result.Success)
